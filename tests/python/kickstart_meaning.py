"""What a kickstart file says, as pykickstart reads it, beside what the guest is to be."""

import ipaddress

from pykickstart.constants import FIRSTBOOT_SKIP, KS_REBOOT, KS_SHUTDOWN, KS_WAIT, SELINUX_DISABLED, SELINUX_ENFORCING
from pykickstart.constants import KS_MISSING_IGNORE, KS_MISSING_PROMPT, SELINUX_PERMISSIVE

SELINUX = {"enforcing": SELINUX_ENFORCING, "permissive": SELINUX_PERMISSIVE, "disabled": SELINUX_DISABLED}
MISSING = {KS_MISSING_PROMPT: "fail", KS_MISSING_IGNORE: "ignore"}
FINISH = {"reboot": KS_REBOOT, "poweroff": KS_SHUTDOWN, "halt": KS_WAIT}


def differences(handler, guest):
    """The things that differ, as `name: said != meant`."""
    said, meant = spoken(handler, guest), intended(guest)
    return [f"{name}: {said.get(name)!r} != {meant[name]!r}" for name in meant if said.get(name) != meant[name]]


def intended(guest):
    system = guest["system"]
    keyboard = system["keyboard"]
    layout = keyboard["layout"] + (f" ({keyboard['variant']})" if keyboard["variant"] else "")
    firewall = system["firewall"]
    packages = system["packages"]
    return {
        "lang": system["lang"],
        "keyboard": [layout],
        "timezone": system["timezone"],
        "ntp": sorted(system["ntp"]),
        "root": system["root"]["password"] or "locked",
        "users": [
            (u["name"], u["gecos"] or "", u["uid"], u["groups"], u["shell"] or "", u["password"] or "", not u["password"])
            for u in system["users"]
        ],
        "nics": [nic(n) for n in system["network"]],
        "hostname": guest["fqdn"],
        "packages": {p for p in packages["add"] if p[0] != "@"},
        "groups": {"core"} | {p[1:] for p in packages["add"] if p[0] == "@"},
        "without": set(packages["remove"]),
        "missing": packages["missing"],
        "services": set(system["services"]["enable"]),
        "no services": set(system["services"]["disable"]),
        "firewall": firewall and firewall["enabled"],
        "open": set(firewall["services"]) | {f"{p['number']}:{p['protocol']}" for p in firewall["ports"]} if firewall else set(),
        "selinux": SELINUX.get(system["selinux"]),
        "repositories": [(r["name"].replace("+", "_"), r["url"], system["proxy"] or "") for r in system["repositories"]],
        "url": guest["install"]["url"],
        "finish": FINISH[system["finish"]],
        "firstboot": FIRSTBOOT_SKIP,
    }


def nic(nic):
    four = [ipaddress.ip_interface(a) for a in nic["addresses"] if ":" not in a]
    six = [a for a in nic["addresses"] if ":" in a]
    gateways = {":" in g: g for g in nic["gateways"]}
    return (
        nic["mac"],
        nic["ipv4"] if nic["ipv4"] != "none" else None,
        str(four[0].ip) if four else "",
        str(four[0].netmask) if four else "",
        gateways.get(False, "") if four else "",
        {"none": None, "dhcp": "auto", "static": six[0] if six else ""}[nic["ipv6"]],
        gateways.get(True, ""),
        ",".join(nic["nameservers"]),
        str(nic["mtu"] or ""),
    )


def spoken(handler, guest):
    ours = set() if guest["install"]["os"]["family"] == "rhel" or not guest["system"]["kdump"] else {"kdump"}
    ours_packages = {"kexec-tools", "kdump-utils"} if ours else set()
    packages = handler.packages
    nics = [n for n in handler.network.network if n.device]
    ntp = handler.timezone.ntpservers if hasattr(handler.timezone, "ntpservers") else []
    if "timesource" in handler.commands:
        ntp = [t.ntp_server for t in handler.timesource.dataList()]
    return {
        "lang": handler.lang.lang,
        "keyboard": handler.keyboard.x_layouts,
        "timezone": handler.timezone.timezone,
        "ntp": sorted(ntp),
        "root": handler.rootpw.password,
        "users": [(u.name, u.gecos, u.uid, list(u.groups), u.shell, u.password, u.lock) for u in handler.user.userList],
        "nics": [
            (
                n.device,
                None if n.noipv4 else n.bootProto,
                n.ip or "",
                n.netmask or "",
                n.gateway or "",
                None if n.noipv6 else n.ipv6,
                n.ipv6gateway or "",
                n.nameserver or "",
                str(n.mtu or ""),
            )
            for n in nics
        ],
        "hostname": handler.network.hostname,
        "packages": set(packages.packageList) - ours_packages,
        "groups": {g.name for g in packages.groupList},
        "without": set(packages.excludedList),
        "missing": MISSING[packages.handleMissing],
        "services": set(handler.services.enabled) - ours,
        "no services": set(handler.services.disabled),
        "firewall": handler.firewall.enabled,
        "open": set(handler.firewall.services) | set(handler.firewall.ports),
        "selinux": handler.selinux.selinux,
        "repositories": [(r.name, r.baseurl, r.proxy) for r in handler.repo.repoList],
        "url": handler.url.url if handler.url.seen else None,
        "finish": handler.reboot.action,
        "firstboot": handler.firstboot.firstboot,
    }
