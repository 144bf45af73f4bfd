use super::*;

const V2_OWN: &str =
    "0::/user.slice/user-1000.slice/user@1000.service/app.slice/causeway.service\n";
const V2_MOUNTS: &str = "30 23 0:26 / /sys/fs/cgroup rw,nosuid,nodev,noexec,relatime shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n";
const V1_OWN: &str = "9:name=systemd:/\n8:pids:/app\n4:memory:/app\n2:cpuacct,cpu:/app\n0::/\n";
const V1_MOUNTS: &str = "\
35 31 0:32 / /nowhere/memory rw,relatime - cgroup cgroup rw,memory
39 31 0:36 / /nowhere/pids rw,relatime - cgroup cgroup rw,pids
33 31 0:30 / /nowhere/cpu rw,relatime - cgroup cgroup rw,cpu,cpuacct
41 31 0:38 / /nowhere/unified rw,relatime - cgroup2 cgroup2 rw
";

#[test]
fn the_group_of_version_2_is_found_below_its_mount() {
    // The folder does not exist here, so the mount itself is what is left.
    assert_eq!(find_v2(V2_OWN, V2_MOUNTS), Some(PathBuf::from("/sys/fs/cgroup")));
    assert_eq!(find_v2("4:memory:/\n", V2_MOUNTS), None);
}

#[test]
fn the_groups_of_version_1_are_found_by_controller() {
    let Some(Cgroups::V1 { memory, pids, cpuacct }) = find_v1(V1_OWN, V1_MOUNTS) else {
        panic!("no version 1 groups found");
    };
    assert_eq!(memory, Path::new("/nowhere/memory"));
    assert_eq!(pids, Path::new("/nowhere/pids"));
    assert_eq!(cpuacct.as_deref(), Some(Path::new("/nowhere/cpu")));
    assert!(find_v1("0::/\n", V1_MOUNTS).is_none());
}

#[test]
fn a_hybrid_machine_uses_version_1_because_version_2_has_no_controllers() {
    let base = find_v2(V1_OWN, V1_MOUNTS).unwrap();
    assert!(Cgroups::prepare_v2(base).is_err());
}

/// The files of version 2 in an ordinary folder: what is written where.
#[test]
fn a_group_of_version_2_gets_its_limits() {
    let base = std::env::temp_dir().join(format!("causeway-cgroup-{}", std::process::id()));
    fs::create_dir_all(&base).unwrap();
    fs::write(base.join("cgroup.controllers"), "cpu memory pids\n").unwrap();
    fs::write(base.join("cgroup.subtree_control"), "").unwrap();
    let groups = Cgroups::prepare_v2(base.clone()).unwrap();
    assert_eq!(fs::read_to_string(base.join("cgroup.subtree_control")).unwrap(), "+memory +pids");
    // A real group has this file from the start.
    let refused = groups.create(Bounds { memory_bytes: 1 << 20, tasks: 7 });
    assert!(refused.is_err(), "pids.events does not exist in an ordinary folder");
    let mut made = fs::read_dir(&base).unwrap().map(|entry| entry.unwrap().path());
    let folder = made.find(|path| path.is_dir()).unwrap();
    let name = folder.file_name().unwrap().to_str().unwrap();
    let own = (std::process::id(), started_at(std::process::id()).unwrap());
    assert_eq!(owner_of(name), Some(own));
    assert_eq!(fs::read_to_string(folder.join("memory.max")).unwrap(), "1048576");
    assert_eq!(fs::read_to_string(folder.join("memory.swap.max")).unwrap(), "0");
    assert_eq!(fs::read_to_string(folder.join("memory.oom.group")).unwrap(), "1");
    assert_eq!(fs::read_to_string(folder.join("pids.max")).unwrap(), "7");
    fs::remove_dir_all(&base).unwrap();
}

#[test]
fn numbers_are_read_by_their_word() {
    let events = "low 0\nhigh 0\nmax 12\noom 3\noom_kill 2\noom_group_kill 1\n";
    assert_eq!(field(events, "oom_kill"), Some(2));
    assert_eq!(field(events, "max"), Some(12));
    assert_eq!(field(events, "nothing"), None);
    assert_eq!(field("oom_kill_disable 0\nunder_oom 0\noom_kill 1\n", "oom_kill"), Some(1));
}

#[test]
fn groups_of_the_dead_are_removed_as_soon_as_they_are_empty_and_no_others() {
    let base = tempfile::tempdir().unwrap();
    let groups = Cgroups::V2 { base: base.path().to_owned() };
    let own = (std::process::id(), started_at(std::process::id()).unwrap());
    let mine = format!("causeway-{}-{}-7", own.0, own.1);
    // The same id, and another process: it came after the one whose group this is.
    let earlier = format!("causeway-{}-{}-7", own.0, own.1 - 1);
    let nobody = format!("causeway-{}-5-0", u32::MAX);
    for name in [&mine, &earlier, &nobody, "causeway-server", "other-1-2-3"] {
        fs::create_dir(base.path().join(name)).unwrap();
    }
    // As long as something is in it, it stays.
    fs::create_dir(base.path().join(&nobody).join("held")).unwrap();
    assert!(!groups.remove_stale());
    let left = || {
        let names = fs::read_dir(base.path()).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    };
    let mut wanted = vec![mine, nobody.clone(), "causeway-server".into(), "other-1-2-3".into()];
    wanted.sort();
    assert_eq!(left(), wanted);
    fs::remove_dir(base.path().join(&nobody).join("held")).unwrap();
    assert!(groups.remove_stale());
    assert!(!left().contains(&nobody));
}

#[test]
fn the_memory_of_this_machine_is_known() {
    let all = memory_of_machine().unwrap();
    assert!(all > 128 << 20 && all < 1 << 50, "{all}");
}
