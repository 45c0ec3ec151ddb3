//! Devices of guests beside disks and NICs: what there is where nothing is said, and what does not go together.

use std::collections::BTreeMap;

use super::{Resolver, is_absolute, value, value_or};
use crate::diagnostic::{Diagnostic, Span, one_of};
use crate::lab::model::devices::{Graphics, Input, Rng, Serial, Video, Vsock};
use crate::lab::written::Named;
use crate::lab::written::devices::VideoSpec;
use crate::lab::written::guest::GuestSpec;

/// Where randomness comes from where nothing is said.
const RNG: &str = "/dev/urandom";

/// The video card of a guest with a display where nothing is said.
const VIDEO: &str = "virtio";

/// What a video card may have for memory, in bytes; QEMU has more for some models.
const VRAM: std::ops::RangeInclusive<u64> = 1 << 20..=256 << 20;

/// The bus of input devices of which none is said.
fn usual_bus(spec: &GuestSpec) -> &'static str {
    match &spec.arch {
        Some(arch) if arch.value == "s390x" => "virtio",
        Some(_) | None => "usb",
    }
}

impl Resolver<'_> {
    pub(super) fn graphics(&mut self, spec: &GuestSpec) -> Option<Graphics> {
        let graphics = spec.graphics.as_ref()?;
        let kind = graphics.kind.as_ref()?;
        let clipboard = graphics.clipboard.as_ref().filter(|it| it.value);
        if let Some(clipboard) = clipboard
            && kind.value != Some("spice")
        {
            self.report(
                Diagnostic::error("only a SPICE display shares the clipboard")
                    .at(clipboard.span)
                    .related(Some(kind.span), "its protocol")
                    .hint("write `type: spice`, or remove `clipboard`"),
            );
        }
        Some(Graphics {
            kind: kind.value?.to_owned(),
            listen: graphics.listen.as_ref().map(|it| it.value.to_string()),
            clipboard: clipboard.is_some(),
        })
    }

    pub(super) fn serial(&mut self, spec: &GuestSpec) -> Option<Serial> {
        let Some(given) = &spec.serial else {
            return Some(Serial::Pty);
        };
        if let Some(Serial::File { path }) = &given.value
            && !is_absolute(path)
        {
            self.report(
                Diagnostic::error(format!("`{path}` is not an absolute path"))
                    .at(given.span)
                    .hint("the file is on the hypervisor: write it from `/` on"),
            );
        }
        let console = spec.system.serial_console.as_ref();
        if let Some(console) = console.filter(|it| it.value && given.value.is_none()) {
            self.report(
                Diagnostic::error("a guest without a serial port has no serial console")
                    .at(console.span)
                    .related(Some(given.span), "it has none")
                    .hint("remove `serial_console`, or `serial: none`"),
            );
        }
        given.value.clone()
    }

    pub(super) fn video(&mut self, spec: &GuestSpec) -> Option<Video> {
        let has_display = spec.graphics.is_some();
        let Some(card) = &spec.video else {
            return has_display.then(|| Video {
                model: VIDEO.to_owned(),
                heads: None,
                vram: None,
                resolution: None,
                accel3d: false,
            });
        };
        let model = card.model.as_ref().map(|model| model.value);
        self.check_video(card, model.unwrap_or(VIDEO), has_display);
        // libvirt adds one to a display alone.
        let is_none = matches!(model, None | Some("none"));
        (has_display || !is_none).then(|| Video {
            model: model.unwrap_or(VIDEO).to_owned(),
            // One is libvirt's own choice.
            heads: value(&card.heads).filter(|heads| *heads > 1),
            vram: value(&card.vram),
            resolution: value(&card.resolution),
            accel3d: value_or(&card.accel3d, false),
        })
    }

    /// libvirt refuses some of it, and forgets the rest.
    fn check_video(&mut self, spec: &VideoSpec, model: &str, has_display: bool) {
        let heads = spec.heads.as_ref().filter(|heads| heads.value > 1);
        let accel3d = spec.accel3d.as_ref().filter(|accel3d| accel3d.value);
        let keys: [(&str, Option<Span>, &[&str]); 4] = [
            ("heads", heads.map(|it| it.span), &["virtio", "qxl"]),
            (
                "vram",
                spec.vram.as_ref().map(|it| it.span),
                &["qxl", "vga", "bochs"],
            ),
            (
                "resolution",
                spec.resolution.as_ref().map(|it| it.span),
                &["virtio", "qxl", "vga", "bochs"],
            ),
            ("accel3d", accel3d.map(|it| it.span), &["virtio"]),
        ];
        for (key, span, models) in keys {
            if let Some(span) = span
                && !models.contains(&model)
            {
                let problem = match model {
                    "none" => format!("there is no video card, which `{key}` could be of"),
                    model => format!("the video card `{model}` takes no `{key}`"),
                };
                self.report(
                    Diagnostic::error(problem)
                        .at(span)
                        .related(spec.model.as_ref().map(|it| it.span), "its model")
                        .hint(format!(
                            "remove it, or write another `model`: {}",
                            one_of(models)
                        )),
                );
            }
        }
        if let Some(vram) = &spec.vram
            && keys[1].2.contains(&model)
            && !(VRAM.contains(&vram.value) && vram.value.is_power_of_two())
        {
            self.report(
                Diagnostic::error("the memory of a video card is a power of two from 1 to 256 MiB")
                    .at(vram.span)
                    .hint("write it in MiB: `16MiB`, `64MiB`"),
            );
        }
        if let Some(accel3d) = accel3d
            && !has_display
        {
            self.report(
                Diagnostic::error("`accel3d` needs a display")
                    .at(accel3d.span)
                    .hint("write `graphics: spice` or `graphics: vnc` for the guest; or `video: none`, or `accel3d: false`, where a group says more"),
            );
        }
    }

    pub(super) fn input(&mut self, spec: &GuestSpec) -> Vec<Input> {
        let mut seen: BTreeMap<(&str, &str), Span> = BTreeMap::new();
        let mut all = Vec::new();
        for device in &spec.input {
            let Some(kind) = device.value.kind.as_ref().and_then(|kind| kind.value) else {
                continue;
            };
            let bus = value(&device.value.bus);
            if bus == Some("usb") {
                self.check_usb(&spec.arch, device.span);
            }
            let on = (kind, bus.unwrap_or(usual_bus(spec)));
            if let Some(first) = seen.insert(on, device.span) {
                self.report(
                    Diagnostic::error(format!("two input devices are both a {kind}"))
                        .at(device.span)
                        .related(Some(first), "the other one")
                        .hint("remove one, or give them a `bus` each"),
                );
            }
            all.push(Input {
                kind: kind.to_owned(),
                bus: bus.map(str::to_owned),
            });
        }
        all
    }

    /// The host knows a guest by its number.
    pub(super) fn check_vsocks(&mut self, specs: &[Named<GuestSpec>]) {
        let mut seen: BTreeMap<u32, (&str, Span)> = BTreeMap::new();
        for named in specs {
            let Some(given) = &named.spec.vsock else {
                continue;
            };
            let Some(cid) = given.value.and_then(|vsock| vsock.cid) else {
                continue;
            };
            let key = named.key.value.as_str();
            if let Some((other, place)) = seen.insert(cid, (key, given.span)) {
                self.report(
                    Diagnostic::error(format!("`{other}` and `{key}` have the same vsock {cid}"))
                        .at(given.span)
                        .related(Some(place), "the other guest's")
                        .hint("give each a number of its own, or write `vsock: true`: libvirt chooses one"),
                );
            }
        }
    }
}

/// Whether the guest agent has a channel.
pub(super) fn agent(spec: &GuestSpec) -> bool {
    value_or(&spec.agent, true)
}

pub(super) fn rng(spec: &GuestSpec) -> Option<Rng> {
    let default = || Rng {
        source: RNG.to_owned(),
        rate: None,
    };
    let Some(given) = &spec.rng else {
        return Some(default());
    };
    given.value.as_ref().map(|rng| Rng {
        source: value_or(&rng.source, RNG).to_owned(),
        rate: value(&rng.rate),
    })
}

pub(super) fn sound(spec: &GuestSpec) -> Option<String> {
    let model = spec.sound.as_ref()?.value?;
    Some(model.to_owned())
}

pub(super) fn vsock(spec: &GuestSpec) -> Option<Vsock> {
    spec.vsock.as_ref()?.value
}
