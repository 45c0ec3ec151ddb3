//! Networks, as other tools call it.

use super::Table;

pub(super) const KEYS: Table = &[
    (
        "a network",
        &[
            (
                "dhcprange range ranges dhcpranges dhcpstart dhcpend dhcppool ippool",
                "write `dhcp: {start: ADDRESS, end: ADDRESS}`, or `dhcp: true` for a range that is derived",
            ),
            (
                "subnet subnets cidr ip ips iprange network networks addresses ipv4 ipv6 gateway netmask prefix \
         networkaddress range4 hostip",
                "write `address: 192.168.155.1/24`: the host's own, with the length of the prefix",
            ),
            (
                "type forward forwardmode kind isolated forwarding",
                "write `mode: nat`, or route, open, isolated, bridge",
            ),
            (
                "dnsdomain domainname search searchdomain",
                "write `domain: DOMAIN`",
            ),
            (
                "interface device uplink parent physdev forwarddev nic",
                "write `dev: DEVICE`",
            ),
            (
                "nameserver nameservers dnsservers dnsserver forwarders resolvers",
                "write `dns: {forwarders: [ADDRESS]}`",
            ),
            (
                "hosts dnshosts records",
                "write `dns: {hosts: {NAME: ADDRESS}}`",
            ),
            ("bridgename", "write `bridge: NAME`"),
            ("existing", "write `external: true`"),
            (
                "reservations dhcphosts leases staticleases",
                "each guest's `ip` is reserved: `interfaces: {eth0: {network: NETWORK, ip: ADDRESS}}`",
            ),
            ("vlans vlanid tag", "write `vlan: 42`, or a list of VLANs"),
            (
                "portgroup profiles",
                "write `portgroups: {NAME: {vlan: 42}}`",
            ),
            (
                "route staticroute staticroutes",
                "write `routes: [{to: 10.0.0.0/8, via: ADDRESS}]`",
            ),
            (
                "qos limit rate",
                "write `bandwidth: {inbound: 10MB, outbound: 10MB}`",
            ),
            (
                "dhcpoptions dhcpoption dnsmasq dnsmasqoptions options",
                "write `dhcp: {options: [LINE]}`, lines of dnsmasq's configuration",
            ),
            (
                "lease leasetime dhcplease dhcpleasetime",
                "write `dhcp: {lease: 12h}`",
            ),
            (
                "pxe netboot bootfile boot tftproot tftpboot",
                "write `tftp: /DIR` and `bootp: FILE`",
            ),
            (
                "ovs virtualport vswitch",
                "write `openvswitch: true`, with mode bridge",
            ),
            (
                "masquerade snat natports portrange",
                "write `nat: {ports: START-END, addresses: START-END}`",
            ),
            (
                "stp",
                "there is no key for it: say it in libvirt's words with `xml`",
            ),
            ("onboot active", "write `autostart: true`"),
        ],
    ),
    (
        "a DHCP range",
        &[
            ("from begin first low min", "write `start: ADDRESS`"),
            ("to last stop high max", "write `end: ADDRESS`"),
        ],
    ),
    (
        "`dhcp`",
        &[
            ("from begin first low min", "write `start: ADDRESS`"),
            ("to last stop high max", "write `end: ADDRESS`"),
        ],
    ),
    (
        "`dns`",
        &[
            (
                "records host entries names a addresses",
                "write `hosts: {NAME: ADDRESS}`",
            ),
            (
                "servers upstream upstreams nameservers forwarder resolvers",
                "write `forwarders: [ADDRESS]`",
            ),
            ("domain", "the network has `domain`"),
        ],
    ),
];
