"""`make bench`: Plaza beside Node's socket.io, stock python-socketio and a C server that only sends.

The server under test has one core, the generator (`generator/`, in C) the other. Rows are measured in
interleaved rounds; what counts is CPU time, which busy neighbours do not change, and ratios to the peers.
"""
