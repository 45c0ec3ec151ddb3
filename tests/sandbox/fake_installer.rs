//! An installer that does nothing, and quickly: the boot sector of a Linux kernel that never gets to Linux.
//!
//! QEMU loads it as it loads any kernel (<https://www.kernel.org/doc/html/latest/arch/x86/boot.html>) and jumps to its
//! real-mode part, which prints a text to the serial console and switches the machine off. That takes a second where a real
//! kernel takes five.

use std::path::Path;

/// How an installer ends.
#[derive(Clone, Copy, PartialEq)]
pub enum Ends<'a> {
    /// It says this, and switches off.
    Saying(&'a str),
    /// Not at all.
    Never,
}

/// Puts `kernel` and `initrd` into a directory.
pub fn write(directory: &Path, name: &str, ends: Ends<'_>) {
    std::fs::write(directory.join(format!("{name}.kernel")), kernel(ends)).unwrap();
    std::fs::write(directory.join(format!("{name}.initrd")), b"nothing").unwrap();
}

/// Where the text stands, from the beginning of the real-mode code at 0x200.
const TEXT: u8 = 0xc0;

fn kernel(ends: Ends<'_>) -> Vec<u8> {
    let mut image = vec![0; 4096];
    // One sector of set-up code after the boot sector; protocol 2.02; what follows is loaded high.
    image[0x1f1] = 1;
    image[0x1fe..0x200].copy_from_slice(&[0x55, 0xaa]);
    // The entry: a jump over the header to 0x280.
    image[0x200..0x202].copy_from_slice(&[0xeb, 0x7e]);
    image[0x202..0x206].copy_from_slice(b"HdrS");
    image[0x206..0x208].copy_from_slice(&[0x02, 0x02]);
    image[0x211] = 1;
    let code: &[u8] = match ends {
        Ends::Saying(text) => {
            let at = 0x200 + usize::from(TEXT);
            image[at..at + text.len()].copy_from_slice(text.as_bytes());
            &[
                0xfc, //                   cld
                0xbe, TEXT, 0x00, //       mov si, TEXT
                0x2e, 0xac, //      next:  cs lodsb
                0x84, 0xc0, //             test al, al
                0x74, 0x12, //             jz off
                0x88, 0xc4, //             mov ah, al
                0xba, 0xfd, 0x03, //       mov dx, 0x3fd        the serial line's status
                0xec, //            full:  in al, dx
                0xa8, 0x20, //             test al, 0x20
                0x74, 0xfb, //             jz full
                0x88, 0xe0, //             mov al, ah
                0xba, 0xf8, 0x03, //       mov dx, 0x3f8
                0xee, //                   out dx, al
                0xeb, 0xe8, //             jmp next
                0xba, 0x04, 0x06, // off:  mov dx, 0x604        ACPI's power management of q35
                0xb8, 0x00, 0x20, //       mov ax, 0x2000       S5
                0xef, //                   out dx, ax
                0xf4, //            halt:  hlt
                0xeb, 0xfd, //             jmp halt
            ]
        }
        Ends::Never => &[0xf4, 0xeb, 0xfd],
    };
    image[0x280..0x280 + code.len()].copy_from_slice(code);
    image
}
