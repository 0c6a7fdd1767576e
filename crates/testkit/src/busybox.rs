//! A small image to build upon: Debian's static busybox with what a root filesystem needs besides.

use std::process::Command;

use crate::program::skip;
use crate::{ImageBuilder, Layer, available};

const PROGRAM: &str = "/bin/busybox";

const TREE: &str = "
    /bin dir
    /dev dir
    /etc dir
    /etc/group file = root:x:0:\\ndaemon:x:1:\\nwww-data:x:33:\\nusers:x:100:\\nnogroup:x:65534:\\n
    /etc/hostname file = busybox\\n
    /etc/passwd file = root:x:0:0:root:/root:/bin/sh\\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\\nwww-data:x:33:33:www-data:/var/www:/bin/false\\nnobody:x:65534:65534:nobody:/home:/bin/false\\n
    /etc/shadow file 0640 = root:*::0:99999:7:::\\n
    /home dir
    /proc dir 0555
    /root dir 0700
    /sys dir 0555
    /tmp dir 1777
    /usr dir
    /usr/bin dir
    /usr/bin/env symlink -> ../../bin/env
    /usr/sbin dir
    /var dir
    /var/spool dir
    /var/tmp dir 1777
    /var/www dir
";

/// The image, which starts a shell; its applets are hard links, as in the official image. `None`, with
/// the reason printed, if the machine has no static busybox.
#[must_use]
pub fn busybox() -> Option<ImageBuilder> {
    if !available("busybox") {
        return None;
    }
    let program = std::fs::read(PROGRAM).unwrap();
    // The name of the dynamic linker is at the front of a program that needs one.
    let front = &program[..program.len().min(4096)];
    if front.windows(4).any(|bytes| bytes == b"/ld-") {
        skip("busybox is not static");
        return None;
    }
    let list = Command::new(PROGRAM).arg("--list").output().unwrap();
    let mut layer = Layer::new().tree(TREE).file("/bin/busybox file 0755", &program);
    for applet in String::from_utf8(list.stdout).unwrap().lines().filter(|name| *name != "busybox") {
        layer = layer.tree(&format!("/bin/{applet} link 0755 -> /bin/busybox"));
    }
    Some(ImageBuilder::new().layer_tar(layer.tar()).config(|config| {
        config.cmd = Some(vec!["sh".to_owned()]);
        config.env = vec!["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()];
    }))
}
