"""The shapes of reports, decisions and appeals."""
