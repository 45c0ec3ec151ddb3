//! What the port that a NIC is plugged into does: VLANs, portgroups, Open vSwitch, filters and queues, as far as that port can.

use uuid::Uuid;

use super::{Resolver, value};
use crate::address::Name;
use crate::diagnostic::{Diagnostic, Span, did_you_mean_of};
use crate::lab::decode::{Given, Spanned};
use crate::lab::model::{Filter, InterfaceSource, NetworkMode, Ovs};
use crate::lab::written::guest::{FilterSpec, InterfaceSpec, OvsSpec};

/// What libvirt has room for: `LIBVIRT_IFLA_VF_PORT_PROFILE_MAX`.
const LONGEST_PROFILE: usize = 39;

impl Resolver<'_> {
    /// Says of what is asked of a NIC's port that it cannot do: libvirt refuses some of it when the guest starts, and forgets some.
    pub(super) fn check_port(&mut self, source: &InterfaceSource, spec: &InterfaceSpec) {
        fn place<T>(given: &Given<T>) -> Option<Span> {
            given.as_ref().map(|given| given.span)
        }
        let (portgroup, vlan, mtu) = (
            place(&spec.portgroup),
            spec.vlan.first().map(|it| it.span),
            place(&spec.mtu),
        );
        let (ovs, queues) = (place(&spec.ovs), place(&spec.queues));
        let filter = spec.filter.as_ref().and_then(|filter| place(&filter.name));
        let trust = place(&spec.trust_guest_rx_filters);
        if let InterfaceSource::Network { network, .. } = source {
            self.check_port_of_network(network, spec);
        }
        let (kind, unfit): (_, &[_]) = match source {
            InterfaceSource::Network { .. } => ("network", &[]),
            InterfaceSource::Bridge { .. } => ("bridge", &[("portgroup", portgroup)]),
            InterfaceSource::Direct { mode, .. } => {
                if let Some(vlan) = vlan.filter(|_| mode != "passthrough") {
                    self.report(
                        Diagnostic::error("macvtap puts no NIC into a VLAN")
                            .at(vlan)
                            .hint("make the VLAN's device on the host, `eth0.5`, and write `direct: eth0.5`; `mode: passthrough` can, on a virtual function"),
                    );
                }
                (
                    "direct",
                    &[
                        ("portgroup", portgroup),
                        ("ovs", ovs),
                        ("filter", filter),
                        ("mtu", mtu),
                    ],
                )
            }
            InterfaceSource::User => (
                "user",
                &[
                    ("portgroup", portgroup),
                    ("vlan", vlan),
                    ("ovs", ovs),
                    ("filter", filter),
                    ("queues", queues),
                    ("trust_guest_rx_filters", trust),
                ],
            ),
        };
        for (key, span) in unfit {
            if let Some(span) = span {
                let way_out = match *key {
                    "portgroup" => "a network",
                    "queues" | "trust_guest_rx_filters" => "a network, a bridge or `direct`",
                    _ => "a network or bridge",
                };
                self.report(
                    Diagnostic::error(format!("a NIC on `{kind}` has no `{key}`"))
                        .at(*span)
                        .hint(format!("remove it, or plug the NIC into {way_out}")),
                );
            }
        }
        if let (Some(ovs), Some(filter)) = (ovs, filter)
            && unfit.iter().all(|(key, _)| *key != "filter")
        {
            self.report(filters_no_ovs(filter).related(Some(ovs), "it is one"));
        }
        if let Some(model) = spec
            .model
            .as_ref()
            .filter(|model| !model.value.starts_with("virtio"))
        {
            for (key, span) in [("queues", queues), ("trust_guest_rx_filters", trust)] {
                if let Some(span) = span {
                    self.report(
                        Diagnostic::error(format!(
                            "a NIC of model `{}` has no `{key}`",
                            model.value
                        ))
                        .at(span)
                        .related(Some(model.span), "its model")
                        .hint("remove it, or write `model: virtio`"),
                    );
                }
            }
        }
        self.check_tags(&spec.vlan);
    }

    /// Reports VLANs that stand twice in a list.
    pub(super) fn check_tags(&mut self, tags: &[Spanned<u16>]) {
        for (i, tag) in tags.iter().enumerate() {
            if let Some(first) = tags[..i].iter().find(|it| it.value == tag.value) {
                self.report(
                    Diagnostic::error(format!("VLAN {} is given twice", tag.value))
                        .at(tag.span)
                        .related(Some(first.span), "first given here")
                        .hint("remove one"),
                );
            }
        }
    }

    /// The same for what the NIC's network would have to have: libvirt takes an unknown portgroup for none. Of one that others make, or
    /// that has XML of its own, it is not known.
    fn check_port_of_network(&mut self, key: &Name, spec: &InterfaceSpec) {
        let network = self.lab.networks.get(key);
        let Some(network) = network.filter(|it| !it.external && it.xml.is_none()) else {
            return;
        };
        let mut problems = Vec::new();
        if let Some(group) = &spec.portgroup
            && !network
                .portgroups
                .iter()
                .any(|it| it.name.as_str() == group.value)
        {
            let problem = format!("network `{key}` has no portgroup `{}`", group.value);
            let known = network.portgroups.iter().map(|it| it.name.as_str());
            let mut problem = Diagnostic::error(problem).at(group.span);
            let all = "all are under the network's `portgroups`";
            problem.hint = did_you_mean_of(&group.value, known, all)
                .or(Some("define it under the network's `portgroups`".into()));
            problems.push(problem);
        }
        if let Some(ovs) = spec
            .ovs
            .as_ref()
            .filter(|_| network.mode != NetworkMode::Bridge)
        {
            let problem = format!("network `{key}` is not on Open vSwitch");
            problems.push(
                Diagnostic::error(problem)
                    .at(ovs.span)
                    .hint("remove `ovs`; a network with `mode: bridge` and `openvswitch: true` is"),
            );
        }
        if let Some(filter) = spec.filter.as_ref().and_then(|it| it.name.as_ref())
            && network.openvswitch
            && spec.ovs.is_none()
        {
            problems.push(filters_no_ovs(filter.span));
        }
        problems.into_iter().for_each(|it| self.report(it));
    }

    /// What is said of a port of Open vSwitch.
    pub(super) fn ovs(&mut self, given: &Given<OvsSpec>) -> Option<Ovs> {
        let spec = &given.as_ref()?.value;
        let mut interface_id = None;
        if let Some(id) = &spec.interface_id {
            interface_id = Uuid::try_parse(&id.value).ok();
            if interface_id.is_none() {
                self.report(
                    Diagnostic::error(format!("`{}` is not a UUID", id.value))
                        .at(id.span)
                        .hint("remove it: libvirt makes one"),
                );
            }
        }
        if let Some(profile) = spec
            .profile
            .as_ref()
            .filter(|it| !matches!(it.value.len(), 1..=LONGEST_PROFILE))
        {
            self.report(
                Diagnostic::error(format!(
                    "a profile's name has 1 to {LONGEST_PROFILE} characters"
                ))
                .at(profile.span)
                .hint("name it as Open vSwitch does, or remove it"),
            );
        }
        Some(Ovs {
            interface_id,
            profile: value(&spec.profile),
        })
    }

    /// A filter. Variables that libvirt cannot read it would forget.
    pub(super) fn filter(&mut self, spec: Option<&FilterSpec>) -> Option<Filter> {
        let spec = spec?;
        let is_name = |text: &str| {
            !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
        };
        let is_value = |text: &str| {
            let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | ':');
            !text.is_empty() && text.chars().all(plain)
        };
        for (name, value) in &spec.parameters {
            if !is_name(&name.value) {
                self.report(
                    Diagnostic::error(format!("`{}` cannot be a variable of a filter", name.value))
                        .at(name.span)
                        .hint("they are named with letters, digits and `_`: `IP`, `MAC`, `DHCPSERVER`"),
                );
            }
            if !is_value(&value.value) {
                self.report(
                    Diagnostic::error(format!(
                        "`{}` cannot be the value of a filter's variable",
                        value.value
                    ))
                    .at(value.span)
                    .hint(
                        "it has letters, digits, `_`, `.` and `:`: an address, a MAC or a number",
                    ),
                );
            }
        }
        let parameters = spec.parameters.iter();
        let parameters = parameters.map(|(name, value)| (name.value.clone(), value.value.clone()));
        Some(Filter {
            name: spec.name.as_ref()?.value.clone(),
            parameters: parameters.collect(),
        })
    }
}

fn filters_no_ovs(filter: Span) -> Diagnostic {
    Diagnostic::error("a port of Open vSwitch has no `filter`")
        .at(filter)
        .hint("remove `filter`: libvirt filters on plain bridges")
}
