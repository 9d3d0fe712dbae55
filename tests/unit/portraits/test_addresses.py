"""Which addresses a fetch may go to."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from portraitd.portraits.addresses import may_reach


@pytest.mark.parametrize(
    "address",
    [
        "1.1.1.1",
        "93.184.216.34",
        "2606:4700:4700::1111",
        "2a00:1450:4001:81b::200e",
        "::ffff:1.1.1.1",
        "64:ff9b::101:101",
    ],
)
def test_public_addresses_may_be_reached(address: str) -> None:
    assert may_reach(address)


@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",
        "0.1.2.3",
        "10.0.0.1",
        "100.64.0.1",
        "100.100.100.200",  # a cloud's metadata
        "127.0.0.1",
        "127.255.255.254",
        "168.63.129.16",  # a cloud's metadata
        "169.254.169.254",  # nearly every cloud's metadata
        "172.16.0.1",
        "172.31.255.255",
        "192.0.0.192",  # a cloud's metadata
        "192.0.2.1",
        "192.168.1.1",
        "198.18.0.1",
        "198.51.100.1",
        "203.0.113.1",
        "224.0.0.1",
        "239.255.255.255",
        "240.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::10.0.0.1",  # compatible form
        "::1.1.1.1",
        "::ffff:127.0.0.1",
        "::ffff:169.254.169.254",
        "::ffff:0:127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::a9fe:a9fe",
        "64:ff9b:1::1",
        "100::1",
        "2001::1",
        "2001:db8::1",
        "2002:7f00:1::1",
        "2002:a9fe:a9fe::1",
        "3fff::1",
        "4000::1",
        "fc00::1",
        "fd00:ec2::254",  # a cloud's metadata
        "fe80::1",
        "fe80::1%eth0",
        "fec0::1",
        "ff02::1",
    ],
)
def test_others_may_not(address: str) -> None:
    assert not may_reach(address)


@pytest.mark.parametrize(
    "text", ["", "localhost", "127.1", "2130706433", "0x7f000001", "[::1]", "1.1.1.1:80", "1.1.1.1/32"]
)
def test_what_is_no_address_may_not(text: str) -> None:
    assert not may_reach(text)


@pytest.mark.parametrize("address", ["192.168.7.7", "::ffff:192.168.7.7", "64:ff9b::c0a8:707", "fd12::5"])
def test_an_operator_may_allow_networks(address: str) -> None:
    allow = (ip_network("192.168.7.0/24"), ip_network("fd12::/16"))
    assert may_reach(address, allow)
    assert not may_reach("192.168.8.7", allow)
    assert not may_reach("fd13::5", allow)


@given(st.ip_addresses(v=4))
def test_whatever_carries_an_ipv4_address_is_as_reachable_as_that(address: IPv4Address) -> None:
    number = int(address)
    carriers = [0xFFFF << 32 | number, 0x64FF9B << 96 | number, 0x2002 << 112 | number << 80]
    assert {may_reach(str(IPv6Address(carrier))) for carrier in carriers} == {may_reach(str(address))}


@given(st.ip_addresses())
def test_no_private_address_is_ever_reached(address: IPv4Address | IPv6Address) -> None:
    if may_reach(str(address)):
        assert ip_address(address).is_global or ip_address(address) in ip_network("2002::/16")
        assert not (address.is_private and address not in ip_network("2002::/16"))
        special = address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified
        assert not special
