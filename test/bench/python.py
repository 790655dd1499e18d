"""
The table of table.ts by python3-pyroute2, one request after the other, as it does: milliseconds on stdout. Debian's has no
module for IPVS, so that its attributes are declared here, as those modules do.
"""

import struct
import sys
import time
from socket import AF_INET
from pyroute2.netlink import NLM_F_ACK, NLM_F_REQUEST, genlmsg, nla
from pyroute2.netlink.generic import GenericNetlinkSocket

SERVICES, DESTINATIONS = int(sys.argv[1]), 20
NEW_SERVICE, NEW_DEST = 1, 5


class ipvsmsg(genlmsg):
    nla_map = (('NONE', 'none'), ('SERVICE', 'service'), ('DEST', 'dest'))

    class service(nla):
        nla_map = (
            ('NONE', 'none'), ('AF', 'uint16'), ('PROTOCOL', 'uint16'), ('ADDR', 'ip4addr'), ('PORT', 'be16'), ('FWMARK', 'uint32'),
            ('SCHED_NAME', 'asciiz'), ('FLAGS', 'cdata'), ('TIMEOUT', 'uint32'), ('NETMASK', 'ip4addr'),
        )

    class dest(nla):
        nla_map = (
            ('NONE', 'none'), ('ADDR', 'ip4addr'), ('PORT', 'be16'), ('FWD_METHOD', 'uint32'), ('WEIGHT', 'uint32'), ('U_THRESH', 'uint32'),
            ('L_THRESH', 'uint32'), ('ACTIVE', 'uint32'), ('INACT', 'uint32'), ('PERSIST', 'uint32'), ('STATS', 'none'), ('FAMILY', 'uint16'),
        )


ipvs = GenericNetlinkSocket()
ipvs.bind('IPVS', ipvsmsg)


def send(cmd, *attrs):
    msg = ipvsmsg()
    msg['cmd'], msg['version'], msg['attrs'] = cmd, 1, list(attrs)
    ipvs.nlm_request(msg, msg_type=ipvs.prid, msg_flags=NLM_F_REQUEST | NLM_F_ACK)


start = time.monotonic()
for i in range(SERVICES):
    key = [('AF', AF_INET), ('PROTOCOL', 17), ('ADDR', f'10.0.{i >> 8}.{i & 255}'), ('PORT', 80)]
    whole = [('SCHED_NAME', 'rr'), ('FLAGS', struct.pack('=II', 0, 0)), ('TIMEOUT', 0), ('NETMASK', '255.255.255.255')]
    send(NEW_SERVICE, ('SERVICE', {'attrs': key + whole}))
    for j in range(DESTINATIONS):
        n = i * DESTINATIONS + j
        dest = [
            ('FAMILY', AF_INET), ('ADDR', f'192.168.{n >> 8}.{n & 255}'), ('PORT', 80), ('FWD_METHOD', 2), ('WEIGHT', 1), ('U_THRESH', 0), ('L_THRESH', 0),
        ]
        send(NEW_DEST, ('SERVICE', {'attrs': list(key)}), ('DEST', {'attrs': dest}))
print((time.monotonic() - start) * 1000)
