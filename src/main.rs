//! The program: arguments in, exit code out.

use std::io::Write;

fn main() {
    std::panic::set_hook(Box::new(|panic| {
        // Standard error may be gone, and a panic in here would end the process before the state is written.
        let mut errors = std::io::stderr().lock();
        drop(writeln!(
            errors,
            "error: this is a bug in miniascape: {panic}\n  please report it, with the command and the definition that led to it"
        ));
    }));
    let code = std::panic::catch_unwind(miniascape::cli::main).unwrap_or(1);
    // A look at libvirt may still be going on where the definition turned out to be wrong. The exit handlers of libvirt
    // and of the libraries under it would free what its threads use, so the process ends without them.
    drop(std::io::stdout().flush());
    signal_hook::low_level::exit(code);
}
