//! The parts by themselves: `quote`.

use crate::template::quote::quote;

#[test]
fn words_survive_a_shell() {
    assert_eq!(quote("a/b-c_1.2:3@4"), "a/b-c_1.2:3@4");
    assert_eq!(quote("a,b"), "'a,b'");
    for odd in [
        "", "a b", "it's", "$(x)", "`x`", "~", "a;b", "\\", "\"", "ä", "-n\n*", "a\\$b'\"", "!x'",
        "'\\\\",
    ] {
        for shell in ["sh", "bash"] {
            let output = std::process::Command::new(shell)
                .args(["-c", &format!("printf %s {}", quote(odd))])
                .output()
                .unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), odd);
        }
    }
}
