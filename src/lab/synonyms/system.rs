//! How systems are set up and installed, and what the host is to have, as other tools call it.

use super::Table;

pub(super) const KEYS: Table = &[
    (
        "`system`",
        &[
            ("locale language", "write `lang: en_US.UTF-8`"),
            ("tz zone", "write `timezone: Europe/Berlin`"),
            ("keymap layout keyboardlayout", "write `keyboard: us`"),
            ("user accounts", "write `users: {NAME: {…}}`"),
            (
                "sshkey sshkeys sshauthorizedkeys authorizedkeys publickey",
                "write `users: {NAME: {ssh_keys: [KEY]}}`, or `root: {ssh_keys: [KEY]}`",
            ),
            (
                "password rootpassword rootpw passwd",
                "write `root: {password: HASH}`",
            ),
            ("repos repo", "write `repositories: {NAME: {url: URL}}`"),
            (
                "partitions partitioning disks disk lvm",
                "write `storage: lvm`, or `storage: {custom: TEXT}`",
            ),
            (
                "post pre run runcmd commands script postinstall",
                "write `scripts: {post: [COMMAND]}`",
            ),
            ("ntpservers chrony timeservers", "write `ntp: [SERVER]`"),
            ("hostname fqdn", "the guest has `hostname` and `fqdn`"),
            ("files writefiles", "the guest has `files`"),
            (
                "reboot poweroff afterinstall",
                "write `finish: reboot` or `finish: poweroff`",
            ),
        ],
    ),
    (
        "`root`",
        &[
            (
                "sshkey key keys authorizedkeys sshauthorizedkeys publickey",
                "write `ssh_keys: [KEY]`",
            ),
            (
                "passwd hash passwordhash hashedpasswd",
                "write `password: HASH`",
            ),
        ],
    ),
    (
        "a user",
        &[
            (
                "sshkey key keys authorizedkeys sshauthorizedkeys publickey",
                "write `ssh_keys: [KEY]`",
            ),
            (
                "passwd hash passwordhash hashedpasswd",
                "write `password: HASH`",
            ),
            ("comment fullname realname", "write `gecos: TEXT`"),
            ("id userid", "write `uid: NUMBER`"),
            ("admin wheel sudoer sudoers", "write `sudo: true`"),
            ("name", "the user's key is the name"),
        ],
    ),
    (
        "`packages`",
        &[
            ("install present", "write `add: [NAME]`"),
            ("absent uninstall", "write `remove: [NAME]`"),
        ],
    ),
    (
        "`services`",
        &[
            ("start", "write `enable: [NAME]`"),
            ("stop mask", "write `disable: [NAME]`"),
        ],
    ),
    (
        "`network` of a system",
        &[
            ("bootproto type", "write `method: static` or `method: dhcp`"),
            ("dns dnsservers", "write `nameservers: [ADDRESS]`"),
            ("netmask", "write `prefix: 24`"),
            ("ip address addresses", "the NIC has `ip`"),
        ],
    ),
    (
        "`install`",
        &[
            (
                "iso tree mirror source image cdrom media",
                "write `location: URL or ISO`",
            ),
            (
                "distro variant osvariant name version ostype",
                "write `os: debian12`",
            ),
            (
                "kickstart preseed answers answerfile ks autoinstall userdata autoyast",
                "they are made from `system`; a file of your own is `template: FILE.j2`",
            ),
            ("kernelargs extraargs append args", "write `cmdline: TEXT`"),
            (
                "packages users timezone lang storage scripts",
                "that stands under `system: {…}`",
            ),
        ],
    ),
    (
        "a file",
        &[
            ("source from", "write `src: FILE`"),
            ("dest destination path target to", "write `dst: /FILE`"),
            ("contents text body data", "write `content: TEXT`"),
            ("permissions perms chmod", "write `mode: \"0644\"`"),
            ("user group", "write `owner: USER:GROUP`"),
        ],
    ),
    (
        "a template",
        &[
            ("source from file", "write `src: FILE.j2`"),
            ("dest destination path target to", "write `dst: FILE`"),
        ],
    ),
    (
        "a package repository",
        &[
            ("baseurl uri mirror", "write `url: URL`"),
            ("gpgkey keyurl", "write `key: URL`"),
        ],
    ),
    (
        "`host`",
        &[
            ("iso images", "write `isos: {NAME: {path: /FILE}}`"),
            (
                "http web httpd nginx webserver",
                "write `serve: {with: nginx}`",
            ),
            (
                "exports",
                "write `nfs: {exports: {/DIR: {clients: [CLIENT]}}}`",
            ),
            ("nested nestedvirtualization", "write `nested_kvm: true`"),
        ],
    ),
];
