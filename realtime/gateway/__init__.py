"""The gateway: sockets in, commands out, exactly one ack for each."""
