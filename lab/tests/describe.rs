//! What a build asks of a module in node is what our runtime finds.

#[path = "../../runtime/tests/support/inputs.rs"]
mod inputs;

use xtask::wasm::describe::describe;

#[test]
fn node_and_our_runtime_find_the_same_in_a_module() {
    let module = inputs::module();
    let described = describe(&module).unwrap();
    let info = afmpeg::Runtime::from_file(&module).unwrap().info().unwrap();
    assert_eq!(described.components, info.components);
    assert_eq!(described.ffmpeg_license, info.license);
    assert!(described.components["encoders"].contains("aac"));
}
