//! Whether KVM works here: `/dev/kvm` may open and even make virtual machines, and yet refuse or hang when one runs.

use std::sync::OnceLock;

/// What a try of KVM shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kvm {
    /// It ran an instruction.
    Works,
    /// It is missing, refuses, or hangs.
    Broken,
    /// This user may not open it, which says nothing about the user that QEMU runs as.
    Denied,
}

/// Tries KVM, once for the process. Takes a few milliseconds where it works, one second at most where it hangs.
pub(super) fn check() -> Kvm {
    static RESULT: OnceLock<Kvm> = OnceLock::new();
    *RESULT.get_or_init(bounded)
}

/// Tries on a thread of its own, which is left behind if it hangs: a signal or the end of the process interrupts it.
fn bounded() -> Kvm {
    let (tell, told) = std::sync::mpsc::channel();
    let spawned = std::thread::Builder::new()
        .name("kvm-check".into())
        .spawn(move || {
            // Nobody listens any more when it took too long.
            let _ = tell.send(attempt());
        });
    match spawned {
        Ok(_) => told
            .recv_timeout(std::time::Duration::from_secs(1))
            .unwrap_or(Kvm::Broken),
        Err(_) => Kvm::Broken,
    }
}

fn attempt() -> Kvm {
    let kvm = match kvm_ioctls::Kvm::new() {
        Ok(kvm) => kvm,
        // EACCES and EPERM
        Err(error) if matches!(error.errno(), 13 | 1) => return Kvm::Denied,
        Err(_) => return Kvm::Broken,
    };
    if kvm.get_api_version() != 12 {
        return Kvm::Broken;
    }
    match halt(&kvm) {
        Ok(true) => Kvm::Works,
        Ok(false) | Err(_) => Kvm::Broken,
    }
}

/// Runs one `hlt` in a machine of one page and one processor; says whether it came to the halt.
#[cfg(target_arch = "x86_64")]
fn halt(kvm: &kvm_ioctls::Kvm) -> Result<bool, kvm_ioctls::Error> {
    use kvm_bindings::kvm_userspace_memory_region;
    use kvm_ioctls::VcpuExit;

    #[repr(align(4096))]
    struct Page([u8; 4096]);
    const AT: u64 = 0x1000;
    const HLT: u8 = 0xf4;

    if !has_extensions() {
        return Ok(false);
    }
    let machine = kvm.create_vm()?;
    // Never freed: should the thread hang, the machine keeps using the page.
    let page: &'static mut Page = Box::leak(Box::new(Page([HLT; 4096])));
    let region = kvm_userspace_memory_region {
        slot: 0,
        flags: 0,
        guest_phys_addr: AT,
        memory_size: 4096,
        userspace_addr: page.0.as_mut_ptr() as u64,
    };
    // SAFETY: the page is aligned, is never freed, and nothing else uses it.
    unsafe { machine.set_user_memory_region(region)? };
    let mut processor = machine.create_vcpu(0)?;
    let mut special = processor.get_sregs()?;
    special.cs.base = 0;
    special.cs.selector = 0;
    processor.set_sregs(&special)?;
    let mut registers = processor.get_regs()?;
    registers.rip = AT;
    registers.rflags = 2;
    processor.set_regs(&registers)?;
    Ok(matches!(processor.run()?, VcpuExit::Hlt))
}

/// Whether the processor can run guests itself: VT-x or AMD-V, as `virt-host-validate` asks. An imitation of KVM without
/// them was seen that halts well, even runs a BIOS, and hangs with the first kernel.
#[cfg(target_arch = "x86_64")]
fn has_extensions() -> bool {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    info.lines()
        .filter(|line| line.starts_with("flags"))
        .any(|line| {
            line.split_whitespace()
                .any(|flag| matches!(flag, "vmx" | "svm"))
        })
}

/// Elsewhere a machine that can be made has to do: what it takes to run an instruction differs by architecture.
#[cfg(not(target_arch = "x86_64"))]
fn halt(kvm: &kvm_ioctls::Kvm) -> Result<bool, kvm_ioctls::Error> {
    kvm.create_vm().map(|_| true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_ends_soon_and_remembers() {
        let begin = std::time::Instant::now();
        let first = check();
        assert!(begin.elapsed() < std::time::Duration::from_secs(3));
        assert_eq!(check(), first);
    }
}
