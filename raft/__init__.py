"""THE REPLICATED LOG. Knows nothing of DNS or health.

Importing the library replaces ``socket.inet_ntop`` of the whole process by a version for Windows that
fails everywhere else; what it replaced is put back here, before anything of ours can need it.
"""

import _socket
import socket

import pysyncobj as _library

socket.inet_ntop = _socket.inet_ntop
socket.inet_pton = _socket.inet_pton

del _library
