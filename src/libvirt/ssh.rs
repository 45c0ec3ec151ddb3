//! What helps where libvirt is reached through ssh. What ssh, or what it started on the other side, wrote to its standard error
//! comes in libvirt's message, before an error of the socket that means no more than that it ended.

/// How libvirt begins such a message (virNetSocketReadWire).
const BEGINNINGS: [&str; 2] = ["Cannot recv data: ", "End of file while reading data: "];

/// How to mend a connection through ssh; `None` where the failure is of another kind. `tried` may name the URI.
pub(super) fn hint(tried: &str, message: &str) -> Option<String> {
    let far = Far::of(tried);
    let said = BEGINNINGS.iter().any(|text| message.contains(text));
    if far.is_none() && !said {
        return None;
    }
    let says = |text: &str| message.contains(text);
    let any = |texts: &[&str]| texts.iter().any(|text| message.contains(text));
    let is_ssh = far.is_some() || any(&["ssh", "Host key", "nc:", "netcat:"]);
    let Far { ssh, uri } = far.unwrap_or_default();
    if says("HOST IDENTIFICATION HAS CHANGED") {
        return Some(format!(
            "ssh knows that host by another key: if it was set up anew, forget the old one with `ssh-keygen -R HOST`, and accept the new one with `{ssh}`"
        ));
    }
    if any(&[
        "Host key verification failed",
        "host key is known",
        "authenticity of host",
    ]) {
        return Some(format!(
            "ssh does not know the key of that host: `{ssh}` shows it and asks; look at it, and say yes"
        ));
    }
    if any(&[
        "Permission denied (",
        "Permission denied, please try again",
        "Too many authentication failures",
        "No more authentication methods",
        "uthentication failed",
        "invalid format",
        "UNPROTECTED PRIVATE KEY",
    ]) {
        return Some(format!(
            "ssh was not let in: `{ssh}` has to work; name the user in the URI, and give a key by ssh-agent, ~/.ssh/config or `?keyfile=/FILE`"
        ));
    }
    if any(&[
        "Could not resolve hostname",
        "Name or service not known",
        "Temporary failure in name resolution",
    ]) {
        return Some(
            "ssh finds no host of that name: look at the URI, and at `Host` in ~/.ssh/config"
                .to_owned(),
        );
    }
    if says("connect to host")
        || any(&["No route to host", "Network is unreachable", "timed out"]) && is_ssh
    {
        return Some(format!(
            "nothing answers ssh there: the host is up, and its sshd listens on that port? `{ssh}` has to work; another port is `qemu+ssh://HOST:PORT/system`"
        ));
    }
    if any(&[
        "Cannot find 'ssh' in path",
        "unable to find 'ssh'",
        "Unable to find 'ssh'",
    ]) {
        return Some(
            "install ssh here: the package openssh-client (Debian) or openssh-clients (Fedora)"
                .to_owned(),
        );
    }
    if any(&[
        "command not found",
        "not found",
        "unrecognized option",
        "invalid option -- 'U'",
    ]) && any(&["nc", "netcat", "virt-ssh-helper"])
    {
        return Some(
            "ssh works, and what it starts there is missing: install libvirt on that host, and virt-ssh-helper comes with it; older ones need `nc` (netcat-openbsd)"
                .to_owned(),
        );
    }
    let at_its_socket = any(&[
        "nc:",
        "netcat:",
        "virt-ssh-helper",
        "Failed to connect socket",
        "libvirt-sock",
    ]);
    let refused = any(&[
        "authentication unavailable",
        "polkit",
        "access denied",
        "Access denied",
    ]);
    if is_ssh && (at_its_socket && says("Permission denied") || refused) {
        return Some(format!(
            "ssh works, and that user may not use libvirt there: join the group libvirt on that host, or connect as root, `{uri}`"
        ));
    }
    if is_ssh && at_its_socket {
        return Some(
            "ssh works, and libvirt does not run there: on that host, `systemctl start libvirtd` (or virtqemud.socket)"
                .to_owned(),
        );
    }
    let is_cut = any(&[
        "Connection closed by",
        "kex_exchange",
        "Connection reset by peer",
        "End of file while reading data",
        "Broken pipe",
        "client socket is closed",
    ]);
    (is_ssh && is_cut)
        .then(|| format!("ssh ended: `{ssh}` has to work; with `-v` it says where it fails"))
}

/// What helps where nothing is said at all through ssh.
pub(super) fn silent(tried: &str) -> Option<String> {
    let Far { ssh, .. } = Far::of(tried)?;
    Some(format!(
        "`{ssh}` shows whether it is ssh that waits, for an answer or for the host; if not, see that libvirt is well on that host; `--timeout` gives more time, as for typing a password"
    ))
}

/// The other side: how to try ssh by itself, and how root is named in the URI.
struct Far {
    ssh: String,
    uri: String,
}

impl Default for Far {
    fn default() -> Self {
        Self {
            ssh: "ssh USER@HOST true".to_owned(),
            uri: "qemu+ssh://root@HOST/system".to_owned(),
        }
    }
}

impl Far {
    /// That of the URI in a text, if it is one through ssh.
    fn of(tried: &str) -> Option<Self> {
        let (before, rest) = tried.split_once("://")?;
        let (driver, transport) = before.rsplit(' ').next()?.split_once('+')?;
        if !matches!(transport, "ssh" | "libssh" | "libssh2") {
            return None;
        }
        let authority = rest.split(['/', '?']).next()?;
        let (user, host) = match authority.rsplit_once('@') {
            Some((user, host)) => (format!("{user}@"), host),
            None => (String::new(), authority),
        };
        let (name, port) = match host.rsplit_once(':') {
            Some((name, port)) if port.chars().all(|c| c.is_ascii_digit()) => {
                (name, format!("-p {port} "))
            }
            Some(_) | None => (host, String::new()),
        };
        let name = name.trim_start_matches('[').trim_end_matches(']');
        Some(Self {
            ssh: format!("ssh {port}{user}{name} true"),
            uri: format!("{driver}+{transport}://root@{host}/system"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRIED: &str = "connect to qemu+ssh://ada@far.test:2222/system";

    /// What libvirt, ssh and the programs on the other side really say.
    const MESSAGES: [(&str, &str); 22] = [
        (
            "Cannot recv data: Host key verification failed.: Connection reset by peer",
            "does not know the key of that host",
        ),
        (
            "End of file while reading data: ssh_askpass: exec(/usr/bin/ssh-askpass): No such file or directory\r\nHost key verification failed.: Input/output error",
            "does not know the key of that host",
        ),
        (
            "Cannot recv data: @@@@@@@@@@@\r\n@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\r\nHost key verification failed.: Connection reset by peer",
            "ssh-keygen -R",
        ),
        (
            "Cannot recv data: ada@far.test: Permission denied (publickey).: Connection reset by peer",
            "not let in",
        ),
        (
            "Cannot recv data: Permission denied, please try again.\r\nPermission denied, please try again.\r\nada@far.test: Permission denied (publickey,password).: Connection reset by peer",
            "not let in",
        ),
        (
            "End of file while reading data: Received disconnect from 10.0.0.9 port 22:2: Too many authentication failures: Input/output error",
            "not let in",
        ),
        (
            "Cannot recv data: ssh: Could not resolve hostname far.test: Name or service not known: Connection reset by peer",
            "no host of that name",
        ),
        (
            "Cannot recv data: ssh: connect to host far.test port 22: No route to host: Connection reset by peer",
            "nothing answers ssh",
        ),
        (
            "Cannot recv data: ssh: connect to host far.test port 2222: Connection refused: Connection reset by peer",
            "nothing answers ssh",
        ),
        (
            "End of file while reading data: ssh: connect to host far.test port 22: Connection timed out: Input/output error",
            "nothing answers ssh",
        ),
        (
            "Cannot recv data: ssh: connect to host far.test port 22: Network is unreachable: Connection reset by peer",
            "nothing answers ssh",
        ),
        (
            "Cannot find 'ssh' in path: No such file or directory",
            "openssh-client",
        ),
        (
            "End of file while reading data: sh: 1: nc: not found: Input/output error",
            "netcat-openbsd",
        ),
        (
            "Cannot recv data: bash: line 1: nc: command not found: Connection reset by peer",
            "netcat-openbsd",
        ),
        (
            "End of file while reading data: sh: line 1: virt-ssh-helper: command not found: Input/output error",
            "virt-ssh-helper comes with it",
        ),
        (
            "End of file while reading data: nc: unix connect failed: Permission denied\nnc: /var/run/libvirt/libvirt-sock: Permission denied: Input/output error",
            "group libvirt on that host",
        ),
        (
            "End of file while reading data: virt-ssh-helper: cannot connect to '/run/libvirt/libvirt-sock': Failed to connect socket to '/run/libvirt/libvirt-sock': Permission denied: Input/output error",
            "qemu+ssh://root@far.test:2222/system",
        ),
        (
            "authentication unavailable: no polkit agent available to authenticate action 'org.libvirt.unix.manage'",
            "group libvirt on that host",
        ),
        (
            "End of file while reading data: nc: unix connect failed: No such file or directory\nnc: /var/run/libvirt/libvirt-sock: No such file or directory: Input/output error",
            "does not run there",
        ),
        (
            "End of file while reading data: virt-ssh-helper: cannot connect to '/run/libvirt/libvirt-sock': Failed to connect socket to '/run/libvirt/libvirt-sock': Connection refused: Input/output error",
            "does not run there",
        ),
        (
            "Cannot recv data: kex_exchange_identification: Connection closed by remote host\r\nConnection closed by 10.0.0.9 port 22: Connection reset by peer",
            "`ssh -p 2222 ada@far.test true` has to work; with `-v`",
        ),
        (
            "End of file while reading data: Input/output error",
            "has to work; with `-v`",
        ),
    ];

    #[test]
    fn failures_of_ssh_have_hints_about_ssh() {
        for (message, word) in MESSAGES {
            let told = hint(TRIED, message).unwrap_or_default();
            assert!(told.contains(word), "{message}: {told}");
        }
    }

    #[test]
    fn most_are_known_without_the_uri() {
        let named = MESSAGES
            .iter()
            .filter(|(message, _)| message.contains("data: ssh"));
        for (message, word) in named {
            let told = hint("connect to libvirt", message).unwrap_or_default();
            assert!(told.contains(word), "{message}: {told}");
        }
    }

    #[test]
    fn what_is_not_about_ssh_is_left_to_others() {
        for (tried, message) in [
            (
                "connect to qemu:///system",
                "Cannot recv data: Connection reset by peer",
            ),
            (
                "connect to qemu:///system",
                "End of file while reading data: Input/output error",
            ),
            (
                "connect to libvirt",
                "Failed to connect socket to '/var/run/libvirt/libvirt-sock': Permission denied",
            ),
            (
                "connect to qemu+tcp://far/system",
                "End of file while reading data: Input/output error",
            ),
            (TRIED, "no domain with matching name 'a'"),
        ] {
            assert_eq!(hint(tried, message), None, "{message}");
        }
        assert!(silent(TRIED).is_some_and(|told| told.contains("`ssh -p 2222 ada@far.test true`")));
        assert_eq!(silent("connect to qemu:///system"), None);
    }
}
