//! The binary: hands the arguments to the library and exits with the code it gives.

fn main() -> std::process::ExitCode {
    codex_ml::cli::main(std::env::args_os().collect())
}
