"""Which network addresses a URL from a client may lead to."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network
#: Name and port to addresses as text; raises OSError or UnicodeError for a name that has none.
Resolver: TypeAlias = Callable[[str, int], Sequence[str]]

#: Public by the books of some Python versions, yet answered by the machine's own cloud or network: protocol assignments
#: (Oracle's metadata among them), relays into IPv6, and Azure's wire server.
_NOT_REALLY_PUBLIC = (ip_network("192.0.0.0/24"), ip_network("192.88.99.0/24"), ip_network("168.63.129.16/32"))
#: What the internet routes of IPv6 (RFC 4291), and the parts of it that lead elsewhere: Teredo and other protocol
#: assignments, and addresses for documentation.
_GLOBAL_UNICAST = ip_network("2000::/3")
_NOT_UNICAST = (ip_network("2001::/23"), ip_network("2001:db8::/32"), ip_network("3fff::/20"))
#: IPv6 that is delivered to an IPv4 address inside it: network, and the lowest bit of that address.
_CARRIERS = (
    (ip_network("::ffff:0:0/96"), 0),  # mapped (RFC 4291)
    (ip_network("64:ff9b::/96"), 0),  # NAT64 (RFC 6052)
    (ip_network("2002::/16"), 80),  # 6to4 (RFC 3056)
)


def may_reach(text: str, allow: Sequence[Network] = ()) -> bool:
    """May a fetch go to this address? To public ones, and to those inside `allow`."""
    try:
        address = ip_address(text)
    except ValueError:
        return False
    inner = _carried(address)
    if any(_is_in(candidate, network) for candidate in (address, inner) for network in allow):
        return True
    return _is_public(inner)


def system_resolver(host: str, port: int) -> Sequence[str]:
    """The addresses of `host`, as this machine's resolver orders them."""
    return [str(info[4][0]) for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)]


def permitted(addresses: Sequence[str], allow: Sequence[Network]) -> Iterator[str]:
    """Those of `addresses` that may be reached, in order."""
    return (address for address in addresses if may_reach(address, allow))


def _carried(address: Address) -> Address:
    """The IPv4 address that an IPv6 one is delivered to, or the address itself."""
    for network, lowest_bit in _CARRIERS:
        if _is_in(address, network):
            return IPv4Address(int(address) >> lowest_bit & 0xFFFFFFFF)
    return address


def _is_public(address: Address) -> bool:
    if isinstance(address, IPv6Address):
        return _is_in(address, _GLOBAL_UNICAST) and not any(_is_in(address, network) for network in _NOT_UNICAST)
    # is_global alone lets multicast through.
    special = address.is_multicast or address.is_reserved or address.is_unspecified
    return address.is_global and not special and not any(address in network for network in _NOT_REALLY_PUBLIC)


def _is_in(address: Address, network: Network) -> bool:
    return address.version == network.version and address in network
