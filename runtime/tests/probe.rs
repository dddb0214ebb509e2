//! Values derived from ffprobe's output: displayed sizes.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use afmpeg::Probe;
use afmpeg::probe::Rational;
use serde_json::{Value, json};

fn probe(streams: Value, frames: Value, groups: Value) -> Probe {
    let said = json!({
        "format": { "format_name": "mov" }, "streams": streams, "frames": frames, "stream_groups": groups,
    });
    let probe: Probe = serde_json::from_value(said).unwrap();
    let again: Probe = serde_json::from_str(&serde_json::to_string(&probe).unwrap()).unwrap();
    assert_eq!(again, probe);
    probe
}

fn video(ratio: Option<&str>, rotation: Option<f64>) -> Value {
    let mut stream = json!({ "index": 0, "codec_type": "video", "width": 720, "height": 480 });
    if let Some(ratio) = ratio {
        stream["sample_aspect_ratio"] = ratio.into();
    }
    if let Some(rotation) = rotation {
        stream["side_data_list"] = json!([{ "side_data_type": "Display Matrix", "rotation": rotation }]);
    }
    stream
}

#[test]
fn sizes_are_those_that_are_displayed() {
    for (ratio, rotation, turned, size) in [
        (None, None, 0, (720, 480)),
        (Some("0:1"), None, 0, (720, 480)),
        (Some("N/A"), None, 0, (720, 480)),
        (Some("8:9"), None, 0, (640, 480)),
        (Some("32:27"), Some(180.0), 180, (853, 480)),
        (Some("1:1"), Some(-90.0), 90, (480, 720)),
        (Some("8:9"), Some(90.0), 270, (540, 720)),
        (None, Some(-450.0), 90, (480, 720)),
    ] {
        let probe = probe(json!([video(ratio, rotation)]), json!([]), json!([]));
        let stream = &probe.streams[0];
        assert_eq!(
            stream.display_width.zip(stream.display_height),
            Some(size),
            "{ratio:?} {rotation:?}"
        );
        assert_eq!(stream.rotation_degrees, turned, "{ratio:?} {rotation:?}");
    }
    // No angle makes it panic.
    probe(json!([video(None, Some(f64::MAX))]), json!([]), json!([]));
    let unknown = probe(
        json!([{ "index": 0, "codec_type": "video", "width": 0, "height": 0 }]),
        json!([]),
        json!([]),
    );
    assert_eq!(unknown.streams[0].display_width, None);
}

#[test]
fn a_photo_may_say_in_the_picture_how_it_is_turned() {
    let frames = json!([{ "stream_index": 0, "side_data_list": [{}, { "rotation": -90 }] }]);
    let probe = probe(json!([video(None, None)]), frames, json!([]));
    let stream = &probe.streams[0];
    assert_eq!((stream.rotation_degrees, stream.display_width), (90, Some(480)));
}

#[test]
fn tiles_are_a_picture() {
    let tile = json!({ "index": 3, "codec_type": "video", "width": 512, "height": 512 });
    let groups = json!([
        { "index": 0, "type": "Tile Grid", "streams": [tile], "disposition": { "default": 1 },
          "components": [{ "nb_tiles": 48, "coded_width": 4096, "width": 4032, "height": 3024, "subcomponents": [{}] }] },
        { "index": 1, "type": "IAMF Audio Element", "components": [{ "nb_layers": 2 }] },
    ]);
    let probe = probe(json!([]), json!([]), groups);
    let grid = probe.stream_groups[0].tile_grid().unwrap();
    assert_eq!(
        (grid.nb_tiles, grid.display_width, grid.display_height),
        (Some(48), Some(4032), Some(3024))
    );
    assert_eq!(grid.other["coded_width"], 4096);
    assert_eq!(probe.stream_groups[0].streams[0].display_width, Some(512));
    assert!(probe.stream_groups[1].tile_grid().is_none());
}

#[test]
fn fractions_are_written_in_two_ways() {
    let wanted = Rational {
        numerator: 4,
        denominator: 3,
    };
    assert_eq!(("4/3".parse(), "4:3".parse()), (Ok(wanted), Ok(wanted)));
    let error = "4".parse::<Rational>().unwrap_err();
    assert_eq!(error.to_string(), "`4` is not a fraction");
}
