/* Calls with files, users and processes, in forms that succeed and that fail: a line for each, with what it returned. The
 * test compares the lines with those of the kernel in a chroot. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/vfs.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <utime.h>

#define HERE AT_FDCWD
#define STAY AT_SYMLINK_NOFOLLOW
#define SELF AT_EMPTY_PATH

#ifdef __aarch64__
/* This machine has the newer forms alone. */
enum { SYS_open = -1, SYS_creat = -1, SYS_mkdir = -1, SYS_rmdir = -1, SYS_stat = -1, SYS_lstat = -1, SYS_access = -1,
       SYS_readlink = -1, SYS_mknod = -1, SYS_unlink = -1, SYS_symlink = -1, SYS_link = -1, SYS_rename = -1, SYS_chmod = -1,
       SYS_chown = -1, SYS_lchown = -1, SYS_utimes = -1, SYS_utime = -1 };
#endif

static const char *at_line;

/* The line that is printed is the call's own text. Descriptors are told as success and closed. */
#define call(name, ...) say(#name "(" #__VA_ARGS__ ")", syscall(SYS_##name, ##__VA_ARGS__), 0)
#define opens(name, ...) say(#name "(" #__VA_ARGS__ ")", syscall(SYS_##name, ##__VA_ARGS__), 1)

static long say(const char *what, long result, int descriptor) {
    int error = errno;
    if (result == -1) printf("%s%s: %s\n", at_line, what, strerrorname_np(error));
    else if (descriptor) { printf("%s%s: open\n", at_line, what); close((int)result); }
    else printf("%s%s: %ld\n", at_line, what, result);
    return result;
}

static void shape(const char *path) {
    struct stat found;
    struct statx more;
    if (fstatat(HERE, path, &found, STAY)) { printf("%s%s is not there: %s\n", at_line, path, strerrorname_np(errno)); return; }
    /* The size of a directory is the filesystem's affair. */
    long size = S_ISDIR(found.st_mode) ? 0 : (long)found.st_size;
    statx(HERE, path, STAY, STATX_BASIC_STATS, &more);
    printf("%s%s is %o %u:%u links %lu size %ld device %lx; %o %u:%u %u\n", at_line, path, found.st_mode, found.st_uid,
           found.st_gid, (unsigned long)found.st_nlink, size, (unsigned long)found.st_rdev, more.stx_mode, more.stx_uid, more.stx_gid, more.stx_nlink);
}

static char too_long[PATH_MAX + 10], long_name[300];
static void *bad = (void *)16;

static void opening(void) {
    opens(openat, HERE, "file", O_RDONLY);
    opens(openat, HERE, "nothing", O_RDONLY);
    opens(openat, HERE, "file/below", O_RDONLY);
    opens(openat, HERE, "", O_RDONLY);
    opens(openat, HERE, bad, O_RDONLY);
    opens(openat, HERE, too_long, O_RDONLY);
    opens(openat, HERE, long_name, O_RDONLY);
    opens(openat, HERE, "loop", O_RDONLY);
    opens(openat, HERE, "link", O_RDONLY | O_NOFOLLOW);
    opens(openat, HERE, "link", O_RDONLY);
    opens(openat, HERE, "dangling", O_RDONLY);
    opens(openat, HERE, "directory", O_WRONLY);
    opens(openat, HERE, "directory", O_RDONLY | O_CREAT, 0644);
    opens(openat, HERE, "directory", O_RDONLY | O_DIRECTORY);
    opens(openat, HERE, "file", O_RDONLY | O_DIRECTORY);
    opens(openat, HERE, "file/", O_RDONLY);
    opens(openat, HERE, "file", O_RDWR | O_CREAT | O_EXCL, 0644);
    opens(openat, HERE, "link", O_RDWR | O_CREAT | O_EXCL, 0644);
    opens(openat, HERE, "new/", O_RDWR | O_CREAT, 0644);
    opens(openat, HERE, "nothing/new", O_RDWR | O_CREAT, 0644);
    opens(openat, HERE, "new", O_RDWR | O_CREAT, 04777);
    shape("new");
    opens(openat, HERE, "secret", O_RDONLY);
    opens(openat, HERE, "secret", O_WRONLY);
    opens(openat, HERE, "closed/file", O_RDONLY);
    opens(openat, HERE, "closed/nothing", O_RDONLY);
    opens(openat, 99, "file", O_RDONLY);
    opens(openat, 99, "/marker", O_RDONLY);
    int file = open("/marker", O_RDONLY);
    opens(openat, file, "x", O_RDONLY);
    close(file);
    int directory = open("directory", O_RDONLY | O_DIRECTORY);
    opens(openat, directory, "../file", O_RDONLY);
    opens(openat, directory, "inner", O_RDONLY);
    opens(openat, directory, ".", O_RDONLY | O_TMPFILE, 0600);
    opens(openat, directory, ".", O_RDWR | O_TMPFILE, 0600);
    close(directory);
    opens(openat, HERE, "fifo", O_WRONLY | O_NONBLOCK);
    opens(openat, HERE, "fifo", O_RDONLY | O_NONBLOCK);
    opens(openat, HERE, "/..//.././marker", O_RDONLY);
    opens(open, "file", O_RDONLY);
    opens(creat, "created", 0640);
    shape("created");
    struct open_how how = {.flags = O_RDONLY};
    opens(openat2, HERE, "file", &how, sizeof how);
    opens(openat2, HERE, "file", &how, 4);
    opens(openat2, HERE, "file", bad, sizeof how);
    call(truncate, "file", 3);
    call(truncate, "file", -1);
    call(truncate, "directory", 0);
    call(truncate, "nothing", 0);
    call(truncate, "fifo", 0);
    call(truncate, "secret", 0);
}

static void whole(char *path, const char *name) {
    if (!getcwd(path, PATH_MAX)) exit(1);
    strcat(strcat(path, "/"), name);
}

/* A path leads elsewhere once a directory or a link on it was moved or removed, however often it was looked up before. */
static void ways(void) {
    static char file[PATH_MAX], nothing[PATH_MAX], down[PATH_MAX], by_link[PATH_MAX], dotted[PATH_MAX], other[PATH_MAX];
    static char other_by_link[PATH_MAX], below_file[PATH_MAX], link_itself[PATH_MAX], slash[PATH_MAX], made[PATH_MAX];
    struct stat found;
    struct statx more;
    char text[PATH_MAX];
    mkdir("way", 0755); mkdir("way/down", 0755); close(creat("way/down/file", 0644));
    mkdir("others", 0755); mkdir("others/down", 0755); close(creat("others/down/other", 0644));
    symlink("way", "turn");
    whole(file, "way/down/file"); whole(nothing, "way/down/nothing"); whole(down, "way/down"); whole(by_link, "turn/down/file");
    whole(dotted, "way/down/../down/file"); whole(other, "way/down/other"); whole(other_by_link, "turn/down/other");
    whole(below_file, "way/down/file/x"); whole(link_itself, "turn"); whole(slash, "way/down/file/"); whole(made, "turn/down/made");
    for (int step = 0; step < 8; step++) {
        printf("%sstep %d\n", at_line, step);
        switch (step) {
            case 1: rename("way", "away"); break;
            case 2: rename("others", "way"); break;
            case 3: renameat2(HERE, "way", HERE, "away", RENAME_EXCHANGE); break;
            case 4: unlink("turn"); symlink("away", "turn"); break;
            case 5: symlink("way", "new-turn"); rename("new-turn", "turn"); break;
            case 6: unlink("way/down/made"); unlink("way/down/file"); rmdir("way/down"); break;
            case 7: mkdir("way/down", 0755); symlink("../../away/down/other", "way/down/file"); break;
        }
        const char *all[] = {file, nothing, down, by_link, dotted, other, other_by_link, below_file, link_itself, slash};
        for (unsigned which = 0; which < sizeof all / sizeof *all; which++) {
            const char *path = all[which];
            printf("%spath %u\n", at_line, which);
            call(newfstatat, HERE, path, &found, 0);
            call(newfstatat, HERE, path, &found, STAY);
            call(statx, HERE, path, 0, STATX_BASIC_STATS, &more);
            call(statx, HERE, path, STAY, STATX_BASIC_STATS, &more);
            call(faccessat, HERE, path, R_OK);
            call(readlinkat, HERE, path, text, sizeof text);
            opens(openat, HERE, path, O_RDONLY);
            opens(openat, HERE, path, O_RDONLY | O_NOFOLLOW);
            opens(openat, HERE, path, O_RDONLY | O_DIRECTORY);
        }
        call(mkdir, made, 0755);
        call(rmdir, made);
        opens(open, made, O_WRONLY | O_CREAT, 0644);
        int home = open(".", O_RDONLY | O_DIRECTORY), held = open("way", O_RDONLY | O_DIRECTORY);
        call(newfstatat, held, "down", &found, 0);
        call(newfstatat, held, "down", &found, STAY);
        call(newfstatat, held, "nothing", &found, STAY);
        call(newfstatat, held, "..", &found, STAY);
        call(fchdir, held);
        call(newfstatat, HERE, "down", &found, STAY);
        call(newfstatat, HERE, "down/file", &found, 0);
        fchdir(home);
        close(home);
        close(held);
    }
    int file_held = open("/marker", O_RDONLY), flags = fcntl(file_held, F_GETFL);
    printf("%sflags %o\n", at_line, flags & (O_ACCMODE | O_NONBLOCK | O_APPEND | O_NOFOLLOW | O_DIRECTORY));
    call(newfstatat, file_held, "x", &found, 0);
    call(newfstatat, 99, "x", &found, 0);
    close(file_held);
}

static void looking(void) {
    struct stat found;
    struct statx more;
    struct statfs filesystem;
    char text[PATH_MAX];
    call(newfstatat, HERE, "file", &found, 0);
    call(newfstatat, HERE, "nothing", &found, 0);
    call(newfstatat, HERE, "dangling", &found, 0);
    call(newfstatat, HERE, "dangling", &found, STAY);
    call(newfstatat, HERE, "loop", &found, 0);
    call(newfstatat, HERE, "file/", &found, 0);
    call(newfstatat, HERE, "link/", &found, STAY);
    call(newfstatat, HERE, "", &found, 0);
    call(newfstatat, HERE, "", &found, SELF);
    call(newfstatat, 99, "", &found, SELF);
    call(newfstatat, 99, "file", &found, 0);
    call(newfstatat, HERE, "file", bad, 0);
    call(newfstatat, HERE, "file", &found, 0x10000);
    call(newfstatat, HERE, "closed/file", &found, 0);
    call(stat, "directory/..", &found);
    call(lstat, "loop", &found);
    call(fstat, 99, &found);
    call(fstat, 1, bad);
    call(statx, HERE, "file", 0, STATX_ALL & 0xfff, &more);
    call(statx, HERE, "nothing", 0, STATX_ALL & 0xfff, &more);
    call(statx, HERE, "file", 0x6000, STATX_ALL & 0xfff, &more);
    call(statx, HERE, "file", 0, 0x80000000u, &more);
    call(statx, HERE, "file", 0, STATX_ALL & 0xfff, bad);
    call(statfs, "file", &filesystem);
    call(statfs, "nothing", &filesystem);
    call(access, "file", R_OK);
    call(access, "file", X_OK);
    call(access, "program", X_OK);
    call(access, "secret", W_OK);
    call(access, "nothing", F_OK);
    call(access, "file", 8);
    call(access, "closed/file", F_OK);
    call(faccessat2, HERE, "file", W_OK, AT_EACCESS);
    call(faccessat2, HERE, "dangling", F_OK, STAY);
    call(faccessat2, HERE, "file", F_OK, 0x8000);
    call(readlink, "link", text, sizeof text);
    call(readlink, "link", text, 2);
    call(readlink, "link", text, 0);
    call(readlink, "link", bad, 10);
    call(readlink, "file", text, sizeof text);
    call(readlink, "nothing", text, sizeof text);
    call(readlink, "directory", text, sizeof text);
    call(readlink, "link/", text, sizeof text);
    call(getcwd, text, sizeof text);
    call(getcwd, text, 2);
    call(getcwd, bad, 100);
}

static void naming(void) {
    call(mkdir, "made", 0777);
    call(mkdir, "made", 0777);
    call(mkdir, "made/", 0777);
    call(mkdir, "made/inner/", 07777);
    shape("made/inner");
    call(mkdir, "nothing/made", 0777);
    call(mkdir, "file/made", 0777);
    call(mkdir, "dangling", 0777);
    call(mkdir, "/", 0777);
    call(mkdir, ".", 0777);
    call(mkdir, "..", 0777);
    call(mkdir, "", 0777);
    call(mkdir, bad, 0777);
    call(mkdir, long_name, 0777);
    call(mkdir, "closed/made", 0777);
    call(rmdir, "made");
    call(rmdir, "made/inner");
    call(rmdir, "made/.");
    call(rmdir, "made/..");
    call(rmdir, "file");
    call(rmdir, "link");
    call(rmdir, "nothing");
    call(rmdir, "/");
    call(rmdir, "made/");
    call(mknod, "pipe", S_IFIFO | 0644, 0);
    call(mknod, "pipe", S_IFIFO | 0644, 0);
    call(mknod, "plain", 0600, 0);
    call(mknod, "plain2", S_IFREG | 0600, 0);
    call(mknod, "strange", S_IFDIR | 0600, 0);
    call(mknod, "strange", 0170000 | 0600, 0);
    call(mknod, "strange/", S_IFREG | 0600, 0);
    call(mknod, "socket", S_IFSOCK | 0600, 0);
    shape("pipe");
    shape("plain");
    shape("socket");
    call(unlink, "plain");
    call(unlink, "plain");
    call(unlink, "directory");
    call(unlink, "link");
    call(unlink, "file/");
    call(unlink, "directory/");
    call(unlink, "");
    call(unlink, ".");
    call(unlink, "/");
    call(unlink, "file/x");
    call(unlink, "closed/file");
    call(unlinkat, HERE, "file", 1);
    call(unlinkat, 99, "file", 0);
    call(symlink, "file", "link");
    call(symlink, "x", "link");
    call(symlink, "", "empty");
    call(symlink, "x", "");
    call(symlink, "x", "nothing/y");
    call(symlink, "x", "trailing/");
    call(symlink, too_long, "long");
    call(link, "file", "second");
    call(link, "file", "second");
    call(link, "nothing", "third");
    call(link, "directory", "third");
    call(link, "link", "linked");
    call(link, "file/", "third");
    call(link, "file", "third/");
    call(link, "file", "nothing/x");
    call(linkat, HERE, "link", HERE, "followed", AT_SYMLINK_FOLLOW);
    call(linkat, HERE, "link", HERE, "followed2", 1);
    shape("second");
    shape("linked");
    shape("followed");
    call(rename, "second", "moved");
    call(rename, "moved", "followed");
    shape("moved");
    call(rename, "nothing", "x");
    call(rename, "file", "directory");
    call(rename, "directory", "file");
    call(rename, "directory", "directory/inside");
    call(rename, "directory", "full");
    call(rename, "file", "nothing/x");
    call(rename, "file", "x/");
    call(rename, "file/", "x");
    call(rename, "directory/", "renamed/");
    call(rename, "renamed", "directory");
    call(rename, ".", "x");
    call(rename, "file", "..");
    call(rename, "", "x");
    call(rename, "file", "closed/x");
    call(renameat2, HERE, "file", HERE, "link", RENAME_NOREPLACE);
    call(renameat2, HERE, "file", HERE, "fresh", RENAME_NOREPLACE);
    call(renameat2, HERE, "fresh", HERE, "file", RENAME_EXCHANGE);
    call(rename, "fresh", "file");
    call(renameat2, HERE, "file", HERE, "x", RENAME_NOREPLACE | RENAME_EXCHANGE);
    call(renameat2, HERE, "file", HERE, "x", 8);
    call(renameat2, HERE, "file", HERE, "directory", RENAME_EXCHANGE);
    call(renameat2, HERE, "file", HERE, "directory", RENAME_EXCHANGE);
}

static void attributes(void) {
    char value[64];
    close(open("file", O_CREAT | O_WRONLY, 0644));
    call(chmod, "file", 04751);
    shape("file");
    call(chmod, "nothing", 0644);
    call(chmod, "dangling", 0644);
    call(chmod, "secret", 0600);
    call(fchmodat, HERE, "file", 0644);
    call(fchmod, 99, 0644);
    call(chown, "file", 12, 34);
    shape("file");
    call(chown, "file", -1, 56);
    call(lchown, "link", 7, 8);
    shape("link");
    call(chown, "link", -1, -1);
    call(chown, "nothing", 1, 1);
    call(fchownat, HERE, "", 1, 1, 0);
    call(fchownat, HERE, "file", 1, 1, 0x8000);
    call(fchown, 99, 1, 1);
    call(chmod, "program", 06755);
    call(chown, "program", 9, 9);
    shape("program");
    struct timespec times[2] = {{1000, 5}, {2000, 6}}, now[2] = {{0, UTIME_NOW}, {0, UTIME_OMIT}}, wrong[2] = {{0, 2000000000}, {0, 0}};
    call(utimensat, HERE, "file", times, 0);
    call(utimensat, HERE, "file", now, 0);
    call(utimensat, HERE, "file", wrong, 0);
    call(utimensat, HERE, "file", NULL, 0);
    call(utimensat, HERE, "nothing", times, 0);
    call(utimensat, HERE, "link", times, STAY);
    call(utimensat, HERE, "secret", NULL, 0);
    call(utimensat, HERE, "secret", times, 0);
    call(utimensat, 99, NULL, times, 0);
    struct timeval values[2] = {{1, 2}, {3, 4}}, invalid[2] = {{1, 2000000}, {3, 4}};
    call(utimes, "file", values);
    call(utimes, "file", invalid);
    struct utimbuf both = {5, 6};
    call(utime, "file", &both);
    call(utime, "file", bad);
    call(setxattr, "file", "user.one", "1", 1, 0);
    call(setxattr, "file", "user.one", "22", 2, XATTR_CREATE);
    call(setxattr, "file", "user.two", "22", 2, XATTR_REPLACE);
    call(setxattr, "file", "user.one", "22", 2, 9);
    call(setxattr, "file", "nonsense", "1", 1, 0);
    call(setxattr, "file", "", "1", 1, 0);
    call(setxattr, "nothing", "user.one", "1", 1, 0);
    call(lsetxattr, "link", "user.one", "1", 1, 0);
    call(setxattr, "file", "trusted.one", "1", 1, 0);
    call(setxattr, "file", "user.big", too_long, 70000, 0);
    call(setxattr, "secret", "user.one", "1", 1, 0);
    call(getxattr, "file", "user.one", value, sizeof value);
    call(getxattr, "file", "user.one", value, 0);
    call(getxattr, "link", "user.one", value, sizeof value);
    call(getxattr, "file", "user.none", value, sizeof value);
    call(getxattr, "nothing", "user.one", value, sizeof value);
    call(fgetxattr, 99, "user.one", value, sizeof value);
    call(setxattr, "file", "user.long", "123456789", 9, 0);
    call(getxattr, "file", "user.long", value, 3);
    call(listxattr, "file", value, sizeof value);
    call(listxattr, "file", value, 3);
    call(listxattr, "file", value, 0);
    call(removexattr, "file", "user.long");
    call(removexattr, "file", "user.long");
    /* A version 2 capability, and one that is too short. */
    call(setxattr, "file", "security.capability", "\1\0\0\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20, 0);
    call(getxattr, "file", "security.capability", value, sizeof value);
    call(setxattr, "file", "security.capability", "\1\0\0\2", 4, 0);
    /* Some kernels forget to ask a user for the right, if they have certain security modules. */
    if (geteuid() == 0) call(removexattr, "file", "security.capability");
}

static void places(void) {
    call(chdir, "directory");
    call(chdir, "..");
    call(chdir, "nothing");
    call(chdir, "file");
    call(chdir, "closed");
    call(chdir, "loop");
    call(chdir, "");
    call(chdir, bad);
    call(fchdir, 99);
    call(fchdir, -1);
    call(fchdir, 1);
    call(umask, 027);
    call(umask, 07022);
    call(umask, 022);
}

static void users(void) {
    gid_t groups[64];
    uid_t ids[3];
    call(getuid);
    call(geteuid);
    call(getgid);
    call(getegid);
    call(getgroups, 0, NULL);
    call(getgroups, 64, groups);
    call(getgroups, 1, groups);
    call(getgroups, -1, groups);
    call(getresuid, &ids[0], &ids[1], &ids[2]);
    call(getresuid, bad, &ids[1], &ids[2]);
    call(setuid, 5000);
    call(setreuid, 5000, -1);
    call(setreuid, -1, 5000);
    call(setresuid, 5000, -1, -1);
    call(setresuid, -1, -1, -1);
    call(setgid, 5000);
    call(setregid, -1, 5000);
    call(setresgid, -1, 5000, -1);
    call(setgroups, 1, groups);
    call(setgroups, 70000, groups);
    call(setgroups, 1, bad);
    call(setfsuid, 5000);
    call(setfsuid, -1);
    call(setfsgid, 5000);
    call(geteuid);
    call(prctl, PR_GET_KEEPCAPS, 0, 0, 0, 0);
    call(prctl, PR_SET_KEEPCAPS, 1, 0, 0, 0);
    call(prctl, PR_SET_KEEPCAPS, 2, 0, 0, 0);
    call(prctl, PR_CAPBSET_READ, 18, 0, 0, 0);
    call(prctl, PR_CAPBSET_READ, 21, 0, 0, 0);
    call(prctl, PR_CAPBSET_READ, 99, 0, 0, 0);
}

static volatile int ticks;

static void tick(int signal) { (void)signal; ticks++; }

/* A signal for a group of which the caller is one arrives once. */
static void group(void) {
    struct sigaction action = {.sa_handler = tick};
    pid_t child = fork();
    if (child == 0) {
        setpgid(0, 0);
        sigaction(SIGUSR1, &action, NULL);
        ticks = 0;
        for (int i = 0; i < 100; i++) kill(-getpgrp(), SIGUSR1);
        printf("%s%d of 100 signals\n", at_line, ticks);
        _exit(0);
    }
    waitpid(child, NULL, 0);
}

/* A call that waits, until a signal comes. */
static void waiting(void) {
    struct sigaction action = {.sa_handler = tick};
    struct itimerval soon = {{0, 0}, {0, 50000}};
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "crowded"};
    int one = socket(AF_UNIX, SOCK_STREAM, 0);
    bind(one, (struct sockaddr *)&name, sizeof name);
    listen(one, 0);
    while (connect(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0), (struct sockaddr *)&name, sizeof name) == 0) continue;
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &soon, NULL);
    call(connect, socket(AF_UNIX, SOCK_STREAM, 0), &name, sizeof name);
}

static void processes(void) {
    struct rlimit limit;
    call(kill, getpid(), 0);
    call(kill, 4000000, 0);
    call(kill, getpid(), 99);
    call(tgkill, getpid(), getpid(), 0);
    call(tgkill, 4000000, 4000000, 0);
    call(tgkill, -1, 1, 0);
    call(tkill, 4000000, 0);
    opens(pidfd_open, getpid(), 0);
    opens(pidfd_open, 4000000, 0);
    call(prlimit64, 0, RLIMIT_CORE, NULL, &limit);
    call(prlimit64, 4000000, RLIMIT_CORE, NULL, &limit);
    cpu_set_t processors;
    sched_getaffinity(0, sizeof processors, &processors);
    call(sched_setaffinity, 0, sizeof processors, &processors);
    call(sched_setaffinity, getpid(), sizeof processors, &processors);
    call(sched_setaffinity, 4000000, sizeof processors, &processors);
    call(setpriority, PRIO_PROCESS, 0, 0);
    call(setpriority, PRIO_PROCESS, getpid(), 0);
    call(setpriority, PRIO_PROCESS, 4000000, 0);
    call(setpriority, PRIO_PGRP, 0, 0);
    call(setpriority, PRIO_PGRP, 4000000, 0);
    call(setpriority, 7, 0, 0);
    call(ioprio_set, 1, 0, 0);
    call(ioprio_set, 1, 4000000, 0);
    call(ioprio_set, 2, 0, 0);
    call(ioprio_set, 9, 0, 0);
    int any = socket(AF_UNIX, SOCK_STREAM, 0);
    call(fcntl, any, F_SETOWN, getpid());
    printf("%sits owner is %s\n", at_line, fcntl(any, F_GETOWN) == getpid() ? "this" : "another");
    call(fcntl, any, F_SETOWN, -getpgrp());
    call(fcntl, any, F_SETOWN, 0);
    call(fcntl, any, F_SETOWN, 4000000);
    call(fcntl, any, F_SETOWN, -4000000);
    call(fcntl, any, F_SETOWN, INT_MIN);
    call(fcntl, 99, F_SETOWN, 0);
    char *words[] = {"x", NULL};
    call(execve, "nothing", words, NULL);
    call(execve, "file", words, NULL);
    call(execve, "directory", words, NULL);
    call(execve, "file/x", words, NULL);
    call(execve, bad, words, NULL);
    call(execve, "loop", words, NULL);
    call(execve, "script", words, NULL);
    call(execve, "empty-program", words, NULL);
    call(execve, "closed/file", words, NULL);
    call(execveat, 99, "", words, NULL, SELF);
    call(execveat, HERE, "link", words, NULL, STAY);
    struct sockaddr_un name = {.sun_family = AF_UNIX, .sun_path = "listening"};
    int one = socket(AF_UNIX, SOCK_STREAM, 0), two = socket(AF_UNIX, SOCK_STREAM, 0);
    call(connect, two, &name, sizeof name);
    call(bind, one, &name, sizeof name);
    call(bind, two, &name, sizeof name);
    call(connect, two, &name, sizeof name);
    call(listen, one, 1);
    call(connect, two, &name, sizeof name);
    call(bind, 99, &name, sizeof name);
    call(bind, one, bad, sizeof name);
    strcpy(name.sun_path, "nothing/x");
    call(bind, socket(AF_UNIX, SOCK_STREAM, 0), &name, sizeof name);
    strcpy(name.sun_path, "file");
    call(connect, socket(AF_UNIX, SOCK_STREAM, 0), &name, sizeof name);
    call(bind, socket(AF_UNIX, SOCK_STREAM, 0), &name, sizeof name);
    shape("listening");
}

static void write_file(const char *path, const char *text, mode_t mode) {
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, mode);
    write(fd, text, strlen(text));
    fchmod(fd, mode);
    close(fd);
}

/* A directory with everything in it, as whoever goes through the calls finds it. */
static void prepare(const char *folder, uid_t owner) {
    mkdir(folder, 0755);
    chdir(folder);
    write_file("file", "contents", 0644);
    write_file("secret", "contents", 0600);
    write_file("program", "\177ELF", 0755);
    write_file("script", "#!/no/such/interpreter\n", 0755);
    write_file("empty-program", "", 0755);
    mkdir("directory", 0755);
    write_file("directory/inner", "", 0644);
    mkdir("full", 0755);
    write_file("full/x", "", 0644);
    mkdir("closed", 0700);
    write_file("closed/file", "", 0644);
    symlink("file", "link");
    symlink("nowhere", "dangling");
    symlink("loop", "loop");
    mkfifo("fifo", 0644);
    if (owner) {
        chown(".", owner, owner);
        const char *own[] = {"file", "program", "directory", "full", "link", "dangling"};
        for (int i = 0; i < 6; i++) lchown(own[i], owner, owner);
    }
}

/* With signals all the time: no call may fail, be done twice, or leave a descriptor. */
static void interrupted(int flags) {
    struct sigaction action = {.sa_handler = tick, .sa_flags = flags};
    struct itimerval often = {{0, 2000}, {0, 2000}}, never = {{0, 0}, {0, 0}};
    int failed = 0, first = dup(1);
    mkdir("/tmp/interrupted", 0755);
    chdir("/tmp/interrupted");
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &often, NULL);
    for (ticks = 0; ticks < 300;) {
        failed += mkdir("directory", 0755) != 0;
        failed += chdir("directory") != 0;
        int new = open("new", O_CREAT | O_EXCL | O_WRONLY, 0644), old = open("new", O_RDONLY);
        failed += close(new) != 0;
        failed += close(old) != 0;
        failed += link("new", "second") != 0;
        failed += rename("second", "third") != 0;
        failed += symlink("new", "link") != 0;
        failed += setxattr("new", "user.one", "1", 1, XATTR_CREATE) != 0;
        failed += removexattr("new", "user.one") != 0;
        failed += umask(077) != 022;
        failed += umask(022) != 077;
        failed += unlink("new") != 0;
        failed += unlink("third") != 0;
        failed += unlink("link") != 0;
        failed += chdir("..") != 0;
        failed += rmdir("directory") != 0;
    }
    setitimer(ITIMER_REAL, &never, NULL);
    printf("interrupted: %d calls failed, %d descriptors left\n", failed, dup(1) - first - 1);
}

static void all(void) { opening(); looking(); ways(); naming(); attributes(); places(); users(); processes(); }

int main(void) {
    memset(too_long, 'x', sizeof too_long - 1);
    memset(long_name, 'n', 256);
    setvbuf(stdout, NULL, _IONBF, 0);
    umask(022);
    at_line = "root: ";
    group();
    interrupted(SA_RESTART);
    waiting();
#ifndef __aarch64__
    /* There such a call may end with EINTR before it is begun, see docs/isolation.md. */
    interrupted(0);
#endif
    prepare("/tmp/of-root", 0);
    all();
    at_line = "user: ";
    setgroups(0, NULL);
    prepare("/tmp/of-user", 1000);
    if (fork() == 0) {
        setresgid(1000, 1000, 1000);
        setresuid(1000, 1000, 1000);
        all();
        _exit(0);
    }
    wait(NULL);
    return 0;
}
