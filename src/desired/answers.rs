//! What sets a guest up without questions: answer files, the seed for cloud-init, and the installer's command line.
//!
//! `generate` writes it into files and `apply` hands it to the installer: both get it from here, so that they agree.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use minijinja::Value;
use minijinja::value::Serde;
use serde::Serialize;

use crate::address::Address;
use crate::desired::contexts::Contexts;
use crate::diagnostic::Diagnostic;
use crate::install::os::Installer;
use crate::lab::model::Guest;
use crate::lab::model::install::{FileSource, Install, UserFile, answer_file};
use crate::lab::model::system::{Method, System};
use crate::template::{TemplateError, Templates};

/// What answers an installer, or cloud-init, in full.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answers {
    /// The files that answer, the main one first.
    pub files: Vec<AnswerFile>,
    /// How they get there.
    pub delivery: Delivery,
    /// The installer's kernel command line; cloud-init has none.
    pub cmdline: String,
    /// What the installer prints to the serial console when all is done. `None` where the answer files, being the user's
    /// own, do not: then a guest that powers itself off is taken to be installed.
    pub done: Option<String>,
}

/// A file with answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnswerFile {
    /// Its name, without a directory.
    pub name: String,
    /// Its text.
    pub text: String,
}

/// How an installer gets its answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// In the root directory of its initrd.
    Initrd,
    /// On a volume labelled `CIDATA`.
    Seed,
}

/// A file of the user's, as answer templates see it.
#[derive(Debug, Serialize)]
struct RenderedFile<'a> {
    dst: &'a str,
    mode: &'a str,
    owner: &'a str,
    content: String,
    base64: String,
}

/// What the installer of a guest prints when all is done.
pub fn done(guest: &Guest) -> String {
    format!("miniascape: {} is installed", guest.key)
}

/// The answers of a guest that is installed, or set up by cloud-init.
pub fn of(
    contexts: &Contexts<'_>,
    templates: &Templates,
    guest: &Guest,
) -> Result<Option<Answers>, Diagnostic> {
    let install = guest.install.as_ref();
    let parts = match (install, &guest.cloud_init) {
        (Some(install), _) => parts(install),
        (None, Some(seed)) => vec![
            ("user-data", seed.template.as_str()),
            ("meta-data", "cloud-init/meta-data.j2"),
            ("network-config", "cloud-init/network-config.j2"),
        ],
        (None, None) => return Ok(None),
    };
    let render = Renderer::new(contexts, templates, guest)?;
    let mut files = Vec::new();
    for (name, template) in parts {
        let text = render.file(name, template)?;
        // Debian's scripts are there only where there is something to do.
        if install.is_none() || !text.trim().is_empty() {
            files.push(AnswerFile {
                name: name.to_owned(),
                text,
            });
        }
    }
    let done = done(guest);
    let says_so = files.iter().any(|file| file.text.contains(&done));
    Ok(Some(Answers {
        delivery: match install.map(|install| install.installer) {
            Some(
                Installer::Kickstart | Installer::Preseed | Installer::Autoyast | Installer::Other,
            ) => Delivery::Initrd,
            Some(Installer::Autoinstall) | None => Delivery::Seed,
        },
        cmdline: install.map_or_else(String::new, |install| {
            cmdline(install, &guest.system, &guest.hostname)
        }),
        done: says_so.then_some(done),
        files,
    }))
}

/// What an answer template sees beside what all see: `system`, `install`, `files` and `done`.
pub fn answers(
    contexts: &Contexts<'_>,
    templates: &Templates,
    guest: &Guest,
) -> Result<Vec<(&'static str, Value)>, Diagnostic> {
    Ok(Renderer::new(contexts, templates, guest)?.more())
}

/// The answer files of an install: name and template.
fn parts(install: &Install) -> Vec<(&str, &str)> {
    let main = install.template.as_str();
    match install.installer {
        Installer::Kickstart => vec![("ks.cfg", main)],
        Installer::Autoyast => vec![("autoinst.xml", main)],
        Installer::Preseed => vec![
            ("preseed.cfg", main),
            ("miniascape-early.sh", "autoinstall.d/early.sh.j2"),
            ("miniascape-late.sh", "autoinstall.d/late.sh.j2"),
        ],
        Installer::Autoinstall => vec![
            ("user-data", main),
            ("meta-data", "cloud-init/meta-data.j2"),
        ],
        Installer::Other => vec![(answer_file(main), main)],
    }
}

/// Renders the files of one guest.
struct Renderer<'a> {
    contexts: &'a Contexts<'a>,
    templates: &'a Templates,
    guest: &'a Guest,
    files: Value,
}

impl<'a> Renderer<'a> {
    fn new(
        contexts: &'a Contexts<'a>,
        templates: &'a Templates,
        guest: &'a Guest,
    ) -> Result<Self, Diagnostic> {
        let mut files = Vec::new();
        for file in &guest.files {
            let context = contexts.guest(guest, &file.dst, Vec::new());
            let content = user_file(templates, file, &context)
                .map_err(|error| explain(error, guest, &format!("files.{}", file.key)))?;
            files.push(RenderedFile {
                dst: &file.dst,
                mode: &file.mode,
                owner: &file.owner,
                base64: STANDARD.encode(&content),
                content,
            });
        }
        Ok(Self {
            contexts,
            templates,
            guest,
            files: Value::from(Serde(&files)),
        })
    }

    /// What an answer template sees beside what all see.
    fn more(&self) -> Vec<(&'static str, Value)> {
        let nics = self.guest.system.network.iter();
        let addresses = nics.flat_map(|nic| &nic.addresses);
        let netmasks =
            addresses.map(|net| (net.to_string(), Value::from(net.netmask().to_string())));
        vec![
            ("system", Value::from(Serde(&self.guest.system))),
            ("install", Value::from(Serde(&self.guest.install))),
            ("files", self.files.clone()),
            ("done", Value::from(done(self.guest))),
            ("first_disk", Value::from(self.guest.first_disk())),
            ("netmasks", Value::from_pairs(netmasks)),
        ]
    }

    fn file(&self, name: &str, template: &str) -> Result<String, Diagnostic> {
        let context = self.contexts.guest(self.guest, name, self.more());
        let text = self.templates.render(template, &context);
        let text = text.map_err(|error| explain(error, self.guest, name))?;
        Ok(whole_lines(text))
    }
}

/// The text of a file of the user's. `context` is what its template sees.
pub fn user_file(
    templates: &Templates,
    file: &UserFile,
    context: &Value,
) -> Result<String, TemplateError> {
    match &file.source {
        FileSource::File { path } => templates
            .render(&path.to_string_lossy(), context)
            .map(whole_lines),
        FileSource::Inline { content } => {
            let name = format!("files.{}", file.key);
            templates.render_text(&name, content, context).map(|text| {
                // The last line break was taken for the template's own, and is the text's.
                match content.ends_with('\n') {
                    true => text + "\n",
                    false => text,
                }
            })
        }
    }
}

fn explain(error: TemplateError, guest: &Guest, what: &str) -> Diagnostic {
    let address = Address::guest(&guest.key);
    error.diagnostic(&format!("for {what} of {address}"))
}

/// A template's last line break is its own, not the text's (as in Jinja2); a text file ends with one.
pub fn whole_lines(mut text: String) -> String {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
    text
}

/// The installer's kernel command line. Sources: `man dracut.cmdline` and Anaconda's boot options, the appendix B of
/// Debian's installation guide, subiquity's documentation, AutoYaST's boot options.
fn cmdline(install: &Install, system: &System, hostname: &str) -> String {
    let mut words: Vec<String> = Vec::new();
    let url = install.url.as_deref();
    match install.installer {
        Installer::Kickstart => {
            words.push("inst.ks=file:/ks.cfg".to_owned());
            words.push(match url {
                Some(url) => format!("inst.repo={url}"),
                None => "inst.repo=cdrom".to_owned(),
            });
            // Without questions: what fails ends the install instead of waiting for an answer.
            words.push("inst.cmdline".to_owned());
            words.extend(url.and_then(|_| dracut_network(system, hostname)));
            if let Some(proxy) = &system.proxy {
                words.push(format!("inst.proxy={proxy}"));
            }
        }
        Installer::Preseed => {
            words.extend(["auto=true", "priority=critical"].map(str::to_owned));
        }
        Installer::Autoinstall => {
            words.extend(["autoinstall", "ds=nocloud"].map(str::to_owned));
            // The live system comes from a CD image, by HTTP where there is no drive with it.
            if let Some(url) = url {
                words.push("ip=dhcp".to_owned());
                words.push(format!("url={url}"));
            }
        }
        Installer::Autoyast => {
            words.push("autoyast=file:///autoinst.xml".to_owned());
            words.push(match url {
                Some(url) => format!("install={url}"),
                None => "install=cd:/".to_owned(),
            });
            words.push("textmode=1".to_owned());
            if url.is_some() && !has_static(system) {
                words.push("ifcfg=*=dhcp".to_owned());
            }
        }
        // The user says it all.
        Installer::Other => {}
    }
    if install.os.is_before_inst() {
        for word in &mut words {
            *word = word.strip_prefix("inst.").unwrap_or(word).to_owned();
        }
    }
    words.extend(install.cmdline.clone());
    if system.serial_console {
        // The last one is where the installer talks.
        words.extend(["console=tty0", "console=ttyS0,115200n8"].map(str::to_owned));
    }
    words.join(" ")
}

fn has_static(system: &System) -> bool {
    system
        .network
        .first()
        .is_some_and(|nic| nic.ipv4 == Method::Static)
}

/// `ip=` of dracut for the first NIC, which Anaconda reaches its packages by. The NIC is known by its MAC.
fn dracut_network(system: &System, hostname: &str) -> Option<String> {
    let nic = system.network.first()?;
    if nic.ipv4 != Method::Static {
        return (nic.ipv4 == Method::Dhcp).then(|| "ip=dhcp".to_owned());
    }
    let v4 = |ip: &&std::net::IpAddr| ip.is_ipv4();
    let address = nic.addresses.iter().find(|net| net.addr().is_ipv4())?;
    let gateway = nic.gateways.iter().find(v4);
    let gateway = gateway.map(ToString::to_string).unwrap_or_default();
    let server = nic.nameservers.iter().find(v4);
    let server = server.map(|ip| format!(" nameserver={ip}"));
    let (ip, mask) = (address.addr(), address.netmask());
    Some(format!(
        "ifname=net0:{mac} ip={ip}::{gateway}:{mask}:{hostname}:net0:none{server}",
        mac = nic.mac,
        server = server.unwrap_or_default(),
    ))
}
