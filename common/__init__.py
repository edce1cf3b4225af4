"""What every package may use: errors, settings, clock, logs, secrets, engines. Imports nothing of ours."""
