//! A guest's devices beside disks and NICs, as written: what a person at it sees and hears, and what it talks to the host by.

use crate::diagnostic::Diagnostic;
use crate::lab::attributes::{
    Address, Keys as _, Kind, Size, Switch, Text, Type, Whole, Word, Words as _, at, kinds, object,
    words,
};
use crate::lab::decode::{Decoder, Given, Spanned};
use crate::lab::model::devices::{Serial, Vsock};
use crate::lab::yaml::{Node, Value};

words! {
    /// Displays.
    Displays: Option<&'static str> = ["vnc" => Some("vnc"), "spice" => Some("spice"), "none" => None];
    /// A serial port that is a terminal of the host, or none.
    Ports: Option<()> = ["pty" => Some(()), "none" => None];
    /// Where randomness comes from.
    RngSources: &'static str = ["/dev/urandom", "/dev/random", "/dev/hwrng", "builtin"];
    /// Video cards. <https://libvirt.org/formatdomain.html#video-devices>
    VideoModels: &'static str = ["virtio", "qxl", "vga", "cirrus", "bochs", "ramfb", "none"];
    /// Input devices.
    Inputs: Option<&'static str> = [
        "tablet" => Some("tablet"), "keyboard" => Some("keyboard"), "mouse" => Some("mouse"), "none" => None,
    ];
    /// Buses of input devices.
    InputBuses: &'static str = ["usb", "virtio"];
    /// Sound cards. <https://libvirt.org/formatdomain.html#sound-devices>
    SoundModels: &'static str = ["ich9", "ich6", "ac97", "es1370", "sb16", "usb", "virtio"];
}

/// The sound card of `true`: both Linux and Windows have drivers for it.
const SOUND: &str = "ich9";

kinds! {
    /// A sound card, or none.
    Sound: Option<&'static str> = Type::OneOf(&[Type::Boolean, Word::<SoundModels>::TYPE]), sound;
    /// A socket between guest and host, or none.
    Socket: Option<Vsock> = Type::OneOf(&[Type::Boolean, Type::Integer(LEAST_CID, MOST_CID)]), socket;
    /// Bytes of randomness a second.
    RngRate: u64 = Type::Size, rng_rate;
    /// Width and height in pixels.
    Resolution: (u32, u32) = Type::Text, resolution;
}

object! {
    /// `graphics` as a map.
    GraphicsSpec: "`graphics`" / "displays", "`vnc`, `spice`, `none` or `{type: …, listen: …}`",
        scalar kind(Word<Displays>) {
        /// Its protocol.
        kind = "type": Word<Displays> [needed: "write `type: vnc` or `type: spice`", xml: [
            at("domain/devices/graphics@type"),
        ]],
        /// The address of the host at which it listens.
        listen: Address [xml: [at("domain/devices/graphics@listen").put_back()]],
        /// Viewer and guest share the clipboard, and the guest's screen is as large as the viewer's window: a channel for
        /// spice-vdagent in the guest; of `spice` only.
        clipboard: Switch [default: "`false`", xml: [
            at("domain/devices/channel").named("channel").says("{@type} {target@name}").when("for the clipboard"),
        ]],
    }
}

/// A display; none is as good as not given.
#[derive(Debug)]
pub struct Graphics;

impl Kind for Graphics {
    type Field = Option<GraphicsSpec>;
    const TYPE: Type = GraphicsSpec::TYPE;

    fn decode(d: &mut Decoder<'_>, node: &Node) -> Self::Field {
        let spec = GraphicsSpec::decode(d, node, node.span)?;
        spec.kind.as_ref()?.value.is_some().then_some(spec)
    }
}

object! {
    /// `serial` as a map.
    SerialSpec: "`serial`" / "serial ports", "`pty`, `none` or `{file: PATH}`" {
        /// A file of the host that all is written to. Needed.
        file: Text [xml: [at("domain/devices/serial/source@path")]],
    }
}

/// A serial port, or none.
#[derive(Debug)]
pub struct SerialPort;

impl Kind for SerialPort {
    type Field = Given<Option<Serial>>;
    const TYPE: Type = Type::OneOf(&[Word::<Ports>::TYPE, SerialSpec::TYPE]);

    fn decode(d: &mut Decoder<'_>, node: &Node) -> Self::Field {
        if let Value::Scalar(..) = node.value {
            let port = Word::<Ports>::decode(d, node)?;
            let value = port.value.map(|()| Serial::Pty);
            return Some(Spanned {
                value,
                span: port.span,
            });
        }
        let file = SerialSpec::decode(d, node, node.span)?.file;
        file.map(|file| Spanned {
            span: file.span,
            value: Some(Serial::File { path: file.value }),
        })
    }
}

object! {
    /// `rng` as a map.
    RngSpec: "`rng`" / "sources of randomness", "`true`, `false`, a source, or `{source: …, rate: …}`" {
        /// A device of the host, or `builtin`: QEMU itself.
        source: Word<RngSources> [default: "`/dev/urandom`", xml: [
            at("domain/devices/rng/backend"),
            at("domain/devices/rng/backend@model").named("rng.backend"),
        ]],
        /// Bytes that it gives in a second at most.
        rate: RngRate [xml: [at("domain/devices/rng/rate").says("{@bytes}"), at("domain/devices/rng/rate@bytes")]],
    }
}

/// A source of randomness, or none.
#[derive(Debug)]
pub struct Rng;

impl Kind for Rng {
    type Field = Given<Option<RngSpec>>;
    const TYPE: Type = Type::OneOf(&[Type::Boolean, Word::<RngSources>::TYPE, RngSpec::TYPE]);

    fn decode(d: &mut Decoder<'_>, node: &Node) -> Self::Field {
        let span = node.span;
        let value = match node.value {
            Value::Mapping(_) => Some(RngSpec::decode(d, node, span)?),
            Value::Scalar(..) | Value::Sequence(_) => {
                let sources = RngSources::WORDS
                    .iter()
                    .map(|(word, it)| (*word, Some(*it)));
                let default = RngSources::WORDS[0].1;
                let source = switch_or(d, node, sources, Some(default))?.value;
                source.map(|value| RngSpec {
                    source: Some(Spanned { value, span }),
                    rate: None,
                })
            }
        };
        Some(Spanned { value, span })
    }
}

object! {
    /// `video` as written.
    VideoSpec: "`video`" / "video cards", "a model, or `{model: …, resolution: …}`", scalar model(Word<VideoModels>) {
        /// What the guest takes it for.
        model: Word<VideoModels> [default: "`virtio`", xml: [at("domain/devices/video/model@type")]],
        /// How many screens it has at most; of models virtio and qxl.
        heads: Whole<u32, 1, 16> [default: "`1`", xml: [at("domain/devices/video/model@heads").put_back()]],
        /// Its memory: a power of two; of models qxl, vga and bochs.
        vram: Size [default: "libvirt's", xml: [at("domain/devices/video/model@vram").put_back()]],
        /// The pixels that it begins with, as `1920x1080`; of models virtio, qxl, vga and bochs.
        resolution: Resolution [xml: [
            at("domain/devices/video/model/resolution").put_back().says("{@x}x{@y}"),
            at("domain/devices/video/model/resolution@x").named("video.resolution.x"),
            at("domain/devices/video/model/resolution@y").named("video.resolution.y"),
        ]],
        /// The host's graphics card draws for it; of model virtio.
        accel3d: Switch [default: "`false`", xml: [
            at("domain/devices/video/model/acceleration").put_back().says("{@accel3d}"),
            at("domain/devices/video/model/acceleration@accel3d"),
        ]],
    }
}

object! {
    /// An input device as written.
    InputSpec: "an input device" / "input devices", "`tablet`, `keyboard`, `mouse`, `none` or `{type: …, bus: …}`",
        scalar kind(Word<Inputs>) {
        /// What it is.
        kind = "type": Word<Inputs> [needed: "write `type: tablet`, `type: keyboard` or `type: mouse`", xml: [
            at("domain/devices/input@type"),
        ]],
        /// What it is plugged into.
        bus: Word<InputBuses> [default: "`usb`; `virtio` on s390x", xml: [at("domain/devices/input@bus")]],
    }
}

/// An input device.
#[derive(Debug)]
pub struct Input;

impl Kind for Input {
    type Field = Given<InputSpec>;
    const TYPE: Type = InputSpec::TYPE;

    fn decode(d: &mut Decoder<'_>, node: &Node) -> Self::Field {
        let span = node.span;
        let value = InputSpec::decode(d, node, span)?;
        Some(Spanned { value, span })
    }
}

/// The least number of a guest's vsock: those below are the hosts'.
const LEAST_CID: i64 = 3;
/// The greatest: the last one means any.
const MOST_CID: i64 = 4_294_967_294;

/// `true`, `false`, or one of a few words.
fn switch_or<T: Copy>(
    d: &mut Decoder<'_>,
    node: &Node,
    words: impl Iterator<Item = (&'static str, Option<T>)>,
    yes: Option<T>,
) -> Given<Option<T>> {
    if node.switch().is_some() {
        let is = d.boolean(node)?;
        let (value, span) = (yes.filter(|_| is.value), is.span);
        return Some(Spanned { value, span });
    }
    let switch = [("true", yes), ("false", None)];
    let words: Vec<_> = switch.into_iter().chain(words).collect();
    d.choice(node, &words)
}

fn sound(d: &mut Decoder<'_>, node: &Node) -> Given<Option<&'static str>> {
    let models = SoundModels::WORDS.iter();
    let models = models.map(|(word, model)| (*word, Some(*model)));
    switch_or(d, node, models, Some(SOUND))
}

fn socket(d: &mut Decoder<'_>, node: &Node) -> Given<Option<Vsock>> {
    if node.switch().is_some() {
        let is = d.boolean(node)?;
        return Some(Spanned {
            value: is.value.then_some(Vsock { cid: None }),
            span: is.span,
        });
    }
    let cid = Whole::<u32, LEAST_CID, MOST_CID>::decode(d, node)?;
    Some(Spanned {
        value: Some(Vsock {
            cid: Some(cid.value),
        }),
        span: cid.span,
    })
}

/// libvirt counts it in 32 bits.
fn rng_rate(d: &mut Decoder<'_>, node: &Node) -> Given<u64> {
    let size = d.size(node)?;
    if (1..=u64::from(u32::MAX)).contains(&size.value) {
        return Some(size);
    }
    d.report(
        Diagnostic::error("a source of randomness gives 1 byte to 4 GB a second")
            .at(size.span)
            .hint("write it in KiB or MiB: `64KiB`"),
    );
    None
}

/// More than that no card has.
const MOST_PIXELS: u32 = 16_000;

fn resolution(d: &mut Decoder<'_>, node: &Node) -> Given<(u32, u32)> {
    let text = d.text(node)?;
    let pixels = |text: &str| -> Option<u32> {
        let pixels = text.parse().ok()?;
        (1..=MOST_PIXELS).contains(&pixels).then_some(pixels)
    };
    let both = text.value.split_once('x');
    let both = both.and_then(|(x, y)| Some((pixels(x)?, pixels(y)?)));
    if both.is_none() {
        d.report(
            Diagnostic::error(format!("`{}` is no resolution", text.value))
                .at(text.span)
                .hint("write width and height in pixels: `1920x1080`"),
        );
    }
    both.map(|value| Spanned {
        value,
        span: text.span,
    })
}
