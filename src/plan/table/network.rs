//! Networks.

use super::Row;
use crate::plan::Disruption::{Live, Recreate, Relink};
use crate::step::NetworkSection;

/// How a network takes over what it cannot change while it runs.
const RESTART: &str = "restarted, NICs of running guests plugged in again";

/// What can be changed while a network runs, and what restarts it. What is not here restarts it, too.
pub const NETWORK: &[Row] = &[
    Row::new(
        "`dhcp.hosts`, `interfaces.*.ip`",
        NetworkSection::IpDhcpHost.path(),
        Live,
        "`virNetworkUpdate`; dnsmasq goes on. Three or more on a network that no guest runs on: one restart, which is faster",
    ),
    Row::new(
        "`dhcp`",
        NetworkSection::IpDhcpRange.path(),
        Live,
        "`virNetworkUpdate`; dnsmasq restarts and keeps its leases",
    ),
    Row::new(
        "`dns.hosts`, `interfaces.*.ip`",
        NetworkSection::DnsHost.path(),
        Live,
        "`virNetworkUpdate`; dnsmasq goes on",
    ),
    Row::new(
        "`dns.txt`",
        NetworkSection::DnsTxt.path(),
        Live,
        "`virNetworkUpdate`; dnsmasq restarts",
    ),
    Row::new(
        "`dns.srv`",
        NetworkSection::DnsSrv.path(),
        Live,
        "`virNetworkUpdate`; dnsmasq restarts",
    ),
    Row::new(
        "`xml`",
        NetworkSection::Portgroup.path(),
        Live,
        "`virNetworkUpdate`; NICs that are plugged in keep what they have until they are plugged in again",
    ),
    Row::new("`xml`", "network/metadata", Live, "defined"),
    Row::new("`xml`", "network/title", Live, "defined"),
    Row::new("`xml`", "network/description", Live, "defined"),
    Row::new("`mode`, `dev`", "network/forward", Relink, RESTART),
    Row::new("`bridge`", "network/bridge", Relink, RESTART),
    Row::new("`xml`", "network/mac", Relink, RESTART),
    Row::new(
        "`mtu`",
        "network/mtu",
        Relink,
        "restarted, NICs plugged in again; running guests keep the MTU of their NICs until they restart",
    ),
    Row::new(
        "`domain`, `dns.local_only`",
        "network/domain",
        Relink,
        RESTART,
    ),
    Row::new("`address`", "network/ip", Relink, RESTART),
    Row::new("`dns.enabled`", "network/dns@enable", Relink, RESTART),
    Row::new("`dns.forwarders`", "network/dns/forwarder", Relink, RESTART),
    Row::new("`xml`", "network/route", Relink, RESTART),
    Row::new("`xml`", "network/bandwidth", Relink, RESTART),
    Row::new("`xml`", "network/dnsmasq:options", Relink, RESTART),
    Row::new(
        "`name`",
        "network/name",
        Recreate,
        "removed and made anew; guests on it restart",
    ),
];
