"""Runs a command to which the kernel denies system calls, as containers do: deny.py NUMBER[,NUMBER…] COMMAND…"""
import ctypes
import errno
import os
import struct
import sys

LOAD, EQUAL, RETURN = 0x20, 0x15, 0x06  # instructions of a seccomp filter
ALLOW, DENY = 0x7FFF0000, 0x00050000 | errno.EPERM
PR_SET_SECCOMP, PR_SET_NO_NEW_PRIVS = 22, 38

code = struct.pack('HBBI', LOAD, 0, 0, 0)  # the system call's number
for number in sys.argv[1].split(','):
    code += struct.pack('HBBI', EQUAL, 0, 1, int(number)) + struct.pack('HBBI', RETURN, 0, 0, DENY)
code += struct.pack('HBBI', RETURN, 0, 0, ALLOW)
instructions = ctypes.create_string_buffer(code, len(code))
program = struct.pack('HxxxxxxP', len(code) // 8, ctypes.addressof(instructions))

libc = ctypes.CDLL(None, use_errno=True)
for arguments in (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), (PR_SET_SECCOMP, 2, program, 0, 0):
    if libc.prctl(*arguments):
        sys.exit('deny.py: ' + os.strerror(ctypes.get_errno()))
os.execvp(sys.argv[2], sys.argv[2:])
