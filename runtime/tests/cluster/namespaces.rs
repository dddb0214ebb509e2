//! A network that is really cut: a worker in a name space of its own, behind a cable that is pulled out.

use crate::house::{House, draw, drawn};
use crate::servers::Process;
use serde_json::json;
use std::fs;
use std::process::Command;
use std::thread;
use std::time::Duration;

const VARIABLE: &str = "AFMPEG_TEST_NAMESPACE";

fn run(line: &str) {
    let mut words = line.split(' ');
    let status = Command::new(words.next().unwrap()).args(words).status().unwrap();
    assert!(status.success(), "{line}");
}

#[test]
#[ignore = "it needs root, for name spaces of the network"]
fn a_worker_whose_cable_is_pulled_out_loses_its_job_and_works_again_later() {
    if std::env::var_os(VARIABLE).is_none() {
        // The servers are in a name space, too, so that nobody else reaches them.
        let status = Command::new("unshare")
            .args(["--net", "--"])
            .arg(std::env::current_exe().unwrap())
            .args(["--ignored", "--exact", "--nocapture"])
            .arg("namespaces::a_worker_whose_cable_is_pulled_out_loses_its_job_and_works_again_later")
            .env(VARIABLE, "1")
            .status()
            .unwrap();
        assert!(status.success());
        return;
    }
    run("ip link set lo up");
    let other = Process::start(Command::new("unshare").args(["--net", "sleep", "600"]));
    let process = other.0.id();
    let space = |process: &str| fs::read_link(format!("/proc/{process}/ns/net")).unwrap();
    while space(&process.to_string()) == space("self") {
        thread::sleep(Duration::from_millis(10));
    }
    run(&format!("ip link add near type veth peer name far netns {process}"));
    run("ip address add 10.77.0.1/24 dev near");
    run("ip link set near up");
    run(&format!(
        "nsenter --target {process} --net ip address add 10.77.0.2/24 dev far"
    ));
    run(&format!("nsenter --target {process} --net ip link set far up"));

    let house = House::with("nats-server", |_| ["-js", "-a", "0.0.0.0"].map(str::to_owned).into());
    let address = format!("nats://10.77.0.1:{}", house.nats.port);
    let mut there = Command::new("nsenter");
    there.args(["--target", &process.to_string(), "--net", "--"]);
    let _one = house.worker_under(&mut there, "one", &["--nats", &address]);
    let job = draw("1", 4.0, true, &house.file("1.mp4"));
    house.submit(std::slice::from_ref(&job));
    house.wait_until(&job, "running");
    run("ip link set near down");
    let two = house.worker("two");
    let result = house.results(std::slice::from_ref(&job)).remove(0);
    assert_eq!(
        (&result["status"], &result["worker"], &result["attempts"]),
        (&json!("done"), &json!("two"), &json!(2)),
        "{result}"
    );
    assert_eq!(fs::read(house.shared("1.mp4")).unwrap(), drawn(4.0));
    // If the first one gave the output its name now, it would come back.
    fs::remove_file(house.shared("1.mp4")).unwrap();
    drop(two);
    run("ip link set near up");
    house.wait_for("the first worker learns it", || {
        house.log("one").contains("taken over by another worker")
    });
    let next = draw("2", 1.0, false, &house.file("2.mp4"));
    let result = house.results(&[next]).remove(0);
    assert_eq!(
        (&result["status"], &result["worker"]),
        (&json!("done"), &json!("one")),
        "{result}"
    );
    assert!(!house.shared("1.mp4").exists());
    let names: Vec<_> = fs::read_dir(house.shared("")).unwrap().collect();
    assert_eq!(names.len(), 1, "{names:?}");
}
