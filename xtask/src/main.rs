//! The build tool. `main.rs` parses, finds the root and dispatches; each verb has its own file.

mod cache;
mod digest;
mod error;
mod fetch;
mod pins;
mod process;
mod profile;
mod sdk;
mod unpack;

fn main() {
    let root = std::path::PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
    let r = (|| -> anyhow::Result<()> {
        let pins = pins::Pins::load(&root)?;
        let cache = cache::Cache::open()?;
        let host = pins::host();
        let f = fetch::Fetcher::new(&cache, &[], false, host.clone());
        for (n, s) in &pins.source {
            if n != "wasi-sdk" && n != "wasi-sysroot" {
                match f.tree(n, s) {
                    Ok(p) => println!("{n} {}", p.display()),
                    Err(e) => error::print(&e),
                }
            }
        }
        let s = sdk::locate(&cache, &pins, &f, &host)?;
        println!("{s:?}");
        Ok(())
    })();
    if let Err(e) = r {
        error::print(&e);
        std::process::exit(error::exit_code(&e) as i32);
    }
}
