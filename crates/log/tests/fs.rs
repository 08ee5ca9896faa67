//! What every file system must do, run on each.
#![allow(clippy::unwrap_used)]

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use bd_log::testing::{FaultFs, KillFs, KillSwitch, MemFs};
use bd_log::{Fs, FsFile, OpenMode, RealFs};

fn content(file: &dyn FsFile) -> Vec<u8> {
    let mut content = Vec::new();
    file.read_at(0, 1000, &mut content).unwrap();
    content
}

fn behaves(fs: &dyn Fs, dir: &Path) {
    let dir = &dir.join("a/b");
    let (one, two) = (&dir.join("one"), &dir.join("two"));
    fs.create_dir_all(dir).unwrap();
    fs.create_dir_all(dir).unwrap();
    assert!(fs.list(dir).unwrap().is_empty());
    for mode in [OpenMode::Read, OpenMode::ReadWrite] {
        assert_eq!(fs.open(one, mode).err().map(|e| e.kind()), Some(ErrorKind::NotFound));
    }
    assert_eq!(fs.remove(one).map_err(|e| e.kind()), Err(ErrorKind::NotFound));

    let file = fs.open(one, OpenMode::Create).unwrap();
    assert!(file.is_empty().unwrap());
    file.write_all_at(0, b"0123456789").unwrap();
    file.write_all_at(12, b"cd").unwrap();
    assert_eq!(content(&*file), b"0123456789\0\0cd");
    let mut some = b"before ".to_vec();
    assert_eq!(file.read_at(8, 3, &mut some).unwrap(), 3);
    assert_eq!(some, b"before 89\0");
    assert_eq!(file.read_at(13, 5, &mut some).unwrap(), 1);
    assert_eq!(file.read_at(99, 5, &mut some).unwrap(), 0);
    let mut roomy = Vec::with_capacity(64);
    assert_eq!(file.read_at(0, 4, &mut roomy).unwrap(), 4);
    assert_eq!(roomy, b"0123");
    file.set_len(3).unwrap();
    file.set_len(5).unwrap();
    assert_eq!((content(&*file), file.len().unwrap()), (b"012\0\0".to_vec(), 5));
    file.sync().unwrap();
    fs.sync_dir(dir).unwrap();

    fs.open(two, OpenMode::Create).unwrap().write_all_at(0, b"two").unwrap();
    fs.rename(two, one).unwrap();
    assert_eq!(fs.list(dir).unwrap(), std::slice::from_ref(one));
    assert_eq!(content(&*fs.open(one, OpenMode::Read).unwrap()), b"two");
    assert_eq!(content(&*file), b"012\0\0", "a replaced file can be read on");
    let again = fs.open(one, OpenMode::Create).unwrap();
    assert_eq!(again.len().unwrap(), 0);
    again.write_all_at(0, b"x").unwrap();
    fs.remove(one).unwrap();
    assert_eq!(content(&*again), b"x", "a deleted file can be read on");
    assert!(fs.list(dir).unwrap().is_empty());
}

#[test]
fn every_file_system_behaves_alike() {
    let (real, faulty, killing) =
        (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap(), Path::new("/data"));
    behaves(&RealFs, real.path());
    behaves(&MemFs::new(), Path::new("/data"));
    behaves(&FaultFs::new(Arc::new(RealFs)), faulty.path());
    let never = Arc::new(KillSwitch::parse("append:1000000").unwrap());
    behaves(&KillFs::new(Arc::new(MemFs::new()), never), killing);
}
