//! Code memory: released code faults, by name, and no page is ever writable and executable.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Output};

use osr_engine::{HostCall, Settings};
use osr_ir::Value;
use osr_tests::guest::{acting, eager, start};
use osr_tests::process::mappings;

const GUEST: &str = r#"(module
  (import "env" "act" (func $act))
  (func $g (param $n i32) (result i32) (call $act) (i32.add (local.get $n) (i32.const 1)))
  (func (export "f") (param $n i32) (result i32) (i32.mul (call $g (local.get $n)) (i32.const 3))))"#;

/// Says to this program, run again, that it is to do what ends it.
const DOOMED: &str = "OSR_TEST_DOOMED";

/// Puts the PC that a hijacked slot held back, although the code is gone.
fn return_into_released_code(call: &HostCall<'_>) {
    call.thread().invalidate_active().expect("a walk");
    let frame = call.thread().compiled_frames().expect("a walk")[0].frame;
    // SAFETY: not at all. This process is about to end.
    unsafe { frame.return_slot.store(frame.pc) };
}

/// Runs the test `name` of this program, which must check for [`DOOMED`], in a process of its own.
fn run_doomed(name: &str) -> Output {
    let program = std::env::current_exe().expect("the path of this program");
    let mut command = Command::new(program);
    command.args(["--exact", name, "--nocapture", "--test-threads=1"]).env(DOOMED, "1");
    command.output().expect("this program can be run")
}

fn is_doomed() -> bool {
    std::env::var_os(DOOMED).is_some()
}

#[test]
fn a_return_into_released_code_faults_and_is_named() {
    if is_doomed() {
        let (_, thread) = start(GUEST, &eager(), &acting(return_into_released_code));
        let _ = thread.invoke("f", &[Value::I32(1)]);
        return;
    }
    let output = run_doomed("a_return_into_released_code_faults_and_is_named");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(libc::SIGSEGV), "{:?}\n{errors}", output.status);
    assert!(errors.contains("stray return"), "{errors}");
}

/// A landing that finds another record than its own ends the process: continuing would mix up frames.
#[test]
fn a_landing_without_a_record_ends_the_process() {
    if is_doomed() {
        let act = |call: &HostCall<'_>| {
            // The slot of `f` gets the landing stub's PC, without a record; that of `g` is hijacked.
            let f = call.thread().instance().exported_function("f").expect("exported");
            call.thread().hijack(|version| version.function != f).expect("a walk");
            let frames = call.thread().compiled_frames().expect("a walk");
            // SAFETY: not at all. This process is about to end.
            unsafe { frames[1].frame.return_slot.store(frames[0].frame.return_slot.load()) };
        };
        let (_, thread) = start(GUEST, &eager(), &acting(act));
        let _ = thread.invoke("f", &[Value::I32(1)]);
        return;
    }
    let output = run_doomed("a_landing_without_a_record_ends_the_process");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.signal(), Some(libc::SIGABRT), "{:?}\n{errors}", output.status);
    assert!(errors.contains("landed through slot"), "{errors}");
}

/// A fault of the host's own code in guest memory's place is not taken for the guest's.
#[test]
fn a_fault_of_the_host_is_the_hosts() {
    if is_doomed() {
        let act = |_: &HostCall<'_>| {
            // SAFETY: not at all. This process is about to end.
            unsafe { std::ptr::without_provenance_mut::<u8>(16).write_volatile(1) };
        };
        let (_, thread) = start(GUEST, &eager(), &acting(act));
        let _ = thread.invoke("f", &[Value::I32(1)]);
        return;
    }
    let output = run_doomed("a_fault_of_the_host_is_the_hosts");
    assert_eq!(output.status.signal(), Some(libc::SIGSEGV), "{output:?}");
}

/// The permissions of the mappings of this process that are executable or of code.
fn check_permissions() {
    let mappings = mappings();
    let permissions = |line: &str| line.split_whitespace().nth(1).expect("permissions").to_owned();
    for line in &mappings {
        let permissions = permissions(line);
        assert!(!(permissions.contains('w') && permissions.contains('x')), "{line}");
    }
    let code: Vec<String> =
        mappings.iter().filter(|line| line.contains("/dev/zero")).map(|l| permissions(l)).collect();
    assert!(code.iter().any(|p| p.starts_with("r-x")), "code is executed: {code:?}");
    assert!(code.iter().any(|p| p.starts_with("rw-")), "and written elsewhere: {code:?}");
}

#[test]
fn no_page_is_writable_and_executable() {
    for settings in [eager(), Settings { checked: false, ..eager() }] {
        let act = |call: &HostCall<'_>| {
            check_permissions();
            call.thread().invalidate_active().expect("a walk");
            check_permissions();
        };
        let (_, thread) = start(GUEST, &settings, &acting(act));
        for _ in 0..100 {
            assert_eq!(thread.invoke("f", &[Value::I32(1)]).expect("it returns"), [6]);
        }
        check_permissions();
    }
}
