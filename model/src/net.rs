//! Which network addresses a webhook may reach.
//!
//! Everything that is not a public unicast address is refused, unless a configured network
//! allows it: a webhook is a request that a stranger makes from inside our network.

use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Whether a webhook may connect to `address`: public, or inside one of the `allowed` networks.
pub fn may_connect(address: IpAddr, allowed: &[IpNet]) -> bool {
    let address = unwrap_embedded(address);
    is_allowed(address, allowed) || is_public(address)
}

/// Whether `address` is inside one of the `allowed` networks.
pub fn is_allowed(address: IpAddr, allowed: &[IpNet]) -> bool {
    let address = unwrap_embedded(address);
    allowed.iter().any(|network| network.contains(&address))
}

/// The IPv4 address inside an IPv4-mapped, IPv4-compatible, NAT64 (RFC 6052, RFC 8215) or 6to4
/// (RFC 3056) address, which is where the packets would end.
fn unwrap_embedded(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else {
        return address;
    };
    let s = v6.segments();
    let tail = || Ipv4Addr::from((u32::from(s[6]) << 16) | u32::from(s[7]));
    let inside = match s {
        [0, 0, 0, 0, 0, 0xffff, ..] => Some(tail()),
        [0, 0, 0, 0, 0xffff, 0, ..] => Some(tail()),
        [0, 0, 0, 0, 0, 0, hi, _] if hi != 0 => Some(tail()),
        [0x64, 0xff9b, 0, 0, 0, 0, ..] => Some(tail()),
        [0x64, 0xff9b, 1, ..] => Some(tail()),
        [0x2002, hi, lo, ..] => Some(Ipv4Addr::from((u32::from(hi) << 16) | u32::from(lo))),
        _ => None,
    };
    inside.map_or(address, IpAddr::V4)
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

/// By the IANA IPv4 Special-Purpose Address Registry.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = a == 0
        || a == 10
        || a == 127
        || (a == 100 && (64..128).contains(&b))
        || (a == 169 && b == 254)
        || (a == 172 && (16..32).contains(&b))
        || (a == 192 && b == 168)
        || (a == 192 && b == 0 && (c == 0 || c == 2))
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (b == 18 || b == 19))
        || (a == 198 && b == 51 && c == 100)
        || (a == 203 && b == 0 && c == 113)
        || a >= 224;
    !special
}

/// By the IANA IPv6 Special-Purpose Address Registry: global unicast is `2000::/3`, less the
/// documentation, benchmarking, Teredo and ORCHID blocks.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let s = address.segments();
    let special =
        (s[0] == 0x2001 && (s[1] < 0x200 || s[1] == 0xdb8)) || (s[0] == 0x3fff && s[1] < 0x1000);
    (s[0] & 0xe000) == 0x2000 && !special
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thirty_forms_of_private_address_are_refused() {
        for private in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "10.255.255.255",
            "100.64.0.1",
            "100.127.255.254",
            "127.0.0.1",
            "127.1.2.3",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.1",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::ffff:0:10.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::a00:1",
            "2002:7f00:1::",
            "2002:a00:1::",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "ff02::1",
            "2001:db8::1",
            "2001::1",
            "2001:10::1",
            "3fff::1",
            "100::1",
            "5f00::1",
        ] {
            let address: IpAddr = private.parse().unwrap();
            assert!(!may_connect(address, &[]), "{private}");
        }
    }

    #[test]
    fn public_addresses_and_allowed_networks_may_be_reached() {
        for public in [
            "93.184.216.34",
            "1.1.1.1",
            "2606:4700:4700::1111",
            "64:ff9b::101:101",
        ] {
            assert!(may_connect(public.parse().unwrap(), &[]), "{public}");
        }
        let allowed: Vec<IpNet> = vec!["127.0.0.0/8".parse().unwrap()];
        assert!(may_connect("127.0.0.1".parse().unwrap(), &allowed));
        assert!(may_connect("::ffff:127.0.0.1".parse().unwrap(), &allowed));
        assert!(!may_connect("10.0.0.1".parse().unwrap(), &allowed));
    }
}
