/* A hostile child: each part tries to reach a file outside of its root (the canary), the secret of the builder, or the
 * builder itself. It prints REACHED with what it has got hold of, and in the end `end`. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <linux/sockios.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 10000

static const char *canary;  /* its path on the machine */
static char outside[PATH_MAX];  /* the directory it is in */
static pid_t builder;
static atomic_int done;

/* Neither text is in this program: they are put together here. */
static int is_treasure(const char *text, size_t length) {
    char secret[64], song[64];
    snprintf(secret, sizeof secret, "%s%s", "token-that-", "must-not-leak");
    snprintf(song, sizeof song, "%s%s", "the canary ", "sings");
    return memmem(text, length, secret, strlen(secret)) || memmem(text, length, song, strlen(song));
}

static void reached(const char *how) { printf("REACHED %s\n", how); fflush(stdout); }

static void look(int fd, const char *how) {
    static _Thread_local char text[1 << 16];
    if (fd < 0) return;
    ssize_t length = read(fd, text, sizeof text);
    if (length > 0 && is_treasure(text, (size_t)length)) reached(how);
    close(fd);
}

static void try_path(const char *path) { look(open(path, O_RDONLY | O_NONBLOCK), path); }

static void race(void *(*other)(void *), void (*one)(int)) {
    pthread_t thread;
    pthread_create(&thread, NULL, other, NULL);
    for (int i = 0; i < ROUNDS; i++) one(i);
    done = 1;
    pthread_join(thread, NULL);
}

/* A directory that becomes a link and a directory again. */
static void *swap_links(void *unused) {
    symlink("/", "/tmp/h/root");
    symlink("../../../../../../../..", "/tmp/h/up");
    symlink(outside, "/tmp/h/out");
    mkdir("/tmp/h/d", 0755);
    const char *links[] = {"/tmp/h/root", "/tmp/h/up", "/tmp/h/out"};
    for (int i = 0; !done; i++) {
        const char *link = links[i % 3];
        syscall(SYS_renameat2, AT_FDCWD, link, AT_FDCWD, "/tmp/h/d", RENAME_EXCHANGE);
        syscall(SYS_renameat2, AT_FDCWD, link, AT_FDCWD, "/tmp/h/d", RENAME_EXCHANGE);
    }
    return unused;
}

static void through_links(int i) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, i % 2 ? "/tmp/h/d%s" : "/tmp/h/d/canary", canary);
    try_path(path);
    struct stat found;
    snprintf(path, sizeof path, "/tmp/h/d/canary");
    if (i % 3 == 0 && stat(path, &found) == 0 && found.st_size > 0) reached("stat");
    close(open("/tmp/h/d/escaped", O_CREAT | O_WRONLY, 0644));
    if (i % 5 == 0) { mkdir("/tmp/h/d/escaped-directory", 0755); chown("/tmp/h/d/canary", 1, 1); truncate("/tmp/h/d/canary", 0); }
    if (i % 7 == 0) { unlink("/tmp/h/d/canary"); rename("/tmp/h/d/canary", "/tmp/h/caught"); link("/tmp/h/d/canary", "/tmp/h/linked"); }
    if (i % 11 == 0 && chdir("/tmp/h/d") == 0) { try_path("canary"); chdir("/"); }
}

/* A directory that moves up while somebody goes up from it. */
static void *move_directories(void *unused) {
    while (!done) {
        rename("/tmp/h/a/b/c", "/tmp/h/c");
        rename("/tmp/h/c", "/tmp/h/a/b/c");
    }
    return unused;
}

static void upwards(int i) {
    char path[PATH_MAX];
    snprintf(path, sizeof path, "/tmp/h/a/b/c/../../../../../../../..%s", canary);
    try_path(path);
    int fd = open("/tmp/h/a/b/c", O_PATH | O_DIRECTORY);
    if (fd < 0) return;
    snprintf(path, sizeof path, "../../../../../../../..%s", canary);
    look(openat(fd, path, O_RDONLY), "openat ..");
    if (i % 2 && fchdir(fd) == 0) { try_path(path); chdir(".."); chdir(".."); chdir(".."); try_path(path); chdir("/"); }
    close(fd);
}

static void proc(void) {
    const char *inner[] = {"root", "cwd", "root/proc/1/root", "task/%d/root", "task/%d/cwd"};
    const char *files[] = {"environ", "cmdline", "exe", "maps", "auxv", "mountinfo", "mem", "stack", "syscall"};
    for (pid_t pid = 1; pid < 4194304; pid = pid < 400 ? pid + 1 : pid < builder - 200 ? builder - 200 : pid + 1) {
        if (pid > builder + 2000) break;
        char path[PATH_MAX], middle[64];
        for (size_t i = 0; i < sizeof inner / sizeof *inner; i++) {
            snprintf(middle, sizeof middle, inner[i], pid);
            snprintf(path, sizeof path, "/proc/%d/%s%s", pid, middle, canary);
            try_path(path);
            snprintf(path, sizeof path, "/proc/%d/%s/../../../../../../..%s", pid, middle, canary);
            try_path(path);
        }
        for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
            snprintf(path, sizeof path, "/proc/%d/%s", pid, files[i]);
            if (strcmp(files[i], "mem") && strcmp(files[i], "exe")) try_path(path);
            else if (pid != getpid()) {
                int fd = open(path, O_RDWR);
                if (fd >= 0 && pid == builder) reached(path);
                if (fd >= 0) close(fd);
            }
        }
        for (int fd = 0; fd < 12; fd++) {
            /* Standard input, output and error are everybody's. */
            if (pid == getpid() || fd < 3) continue;
            snprintf(path, sizeof path, "/proc/%d/fd/%d%s", pid, fd, canary);
            try_path(path);
            snprintf(path, sizeof path, "/proc/%d/fd/%d", pid, fd);
            try_path(path);
        }
    }
    char path[PATH_MAX];
    const char *own[] = {"/proc/self/root/..", "/proc/thread-self/root/../..", "/proc/self/cwd/../../..", "/proc/self/task/../../../..", "/dev/fd/../../../.."};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        snprintf(path, sizeof path, "%s%s", own[i], canary);
        try_path(path);
    }
}

static void handles(void) {
    for (unsigned long long resolve = 0; resolve < 64; resolve++) {
        struct open_how how = {.flags = O_RDONLY, .resolve = resolve};
        char path[PATH_MAX];
        snprintf(path, sizeof path, "../../../../../../..%s", canary);
        look((int)syscall(SYS_openat2, AT_FDCWD, canary, &how, sizeof how), "openat2");
        look((int)syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof how), "openat2 ..");
    }
    struct { struct file_handle handle; unsigned char rest[128]; } found = {.handle = {.handle_bytes = 128}};
    int mount = 0;
    if (syscall(SYS_name_to_handle_at, AT_FDCWD, canary, &found, &mount, 0) == 0) reached("name_to_handle_at");
    int root = open("/", O_RDONLY | O_DIRECTORY);
    found.handle.handle_bytes = 128;
    syscall(SYS_name_to_handle_at, root, "", &found, &mount, AT_EMPTY_PATH);
    /* On ext4 inode 2 is the filesystem's root. */
    memset(found.handle.f_handle, 0, 8);
    found.handle.f_handle[0] = 2;
    found.handle.handle_bytes = 8;
    found.handle.handle_type = 1;
    int fd = (int)syscall(SYS_open_by_handle_at, root, &found, O_RDONLY);
    if (fd >= 0) reached("open_by_handle_at");
    if (syscall(SYS_open_tree, AT_FDCWD, outside, 0) >= 0) reached("open_tree");
    if (syscall(SYS_mount, outside, "/tmp", "none", 4096, 0) == 0) reached("mount");
}

static void descriptors(void) {
    int pair[2];
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    int root = open("/", O_PATH | O_DIRECTORY);
    char control[CMSG_SPACE(sizeof root)] = {0}, byte = 0;
    struct iovec piece = {&byte, 1};
    struct msghdr message = {.msg_iov = &piece, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof root);
    memcpy(CMSG_DATA(header), &root, sizeof root);
    sendmsg(pair[0], &message, 0);
    if (fork() == 0) {
        if (recvmsg(pair[1], &message, 0) != 1) _exit(1);
        memcpy(&root, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof root);
        chdir("/tmp");
        chroot("/tmp");
        char path[PATH_MAX];
        snprintf(path, sizeof path, "../../../../..%s", canary);
        look(openat(root, path, O_RDONLY), "a descriptor above the root");
        if (fchdir(root) == 0) { try_path(path); for (int i = 0; i < 20; i++) chdir(".."); try_path(path + 15); chroot("."); try_path(canary); }
        fflush(stdout);
        _exit(0);
    }
    wait(NULL);
}

/* What an argument says changes between the look at it and its use. */
static char argument[PATH_MAX], *harmless = "/tmp/h/harmless";
static void *swap_argument(void *unused) {
    while (!done) { memcpy(argument, canary, strlen(canary) + 1); memcpy(argument, harmless, strlen(harmless) + 1); }
    return unused;
}

static void with_argument(int i) {
    struct stat found;
    char text[64];
    look(open(argument, O_RDONLY), "open with a changing argument");
    switch (i % 6) {
    case 0: if (stat(argument, &found) == 0 && found.st_size == 17) reached("stat with a changing argument"); break;
    case 1: chmod(argument, 0666); break;
    case 2: truncate(argument, 3); break;
    case 3: unlink(argument); close(open(harmless, O_CREAT | O_WRONLY, 0644)); break;
    case 4: link(argument, "/tmp/h/linked"); try_path("/tmp/h/linked"); unlink("/tmp/h/linked"); break;
    default: if (readlink(argument, text, sizeof text) > 0) reached("readlink"); break;
    }
}

static void attack(pid_t pid) {
    char text[4096];
    struct iovec mine = {text, sizeof text}, theirs = {(void *)0x400000, sizeof text};
    if (ptrace(PTRACE_ATTACH, pid, 0, 0) == 0) reached("ptrace attach");
    if (ptrace(PTRACE_SEIZE, pid, 0, 0) == 0) reached("ptrace seize");
    if (process_vm_readv(pid, &mine, 1, &theirs, 1, 0) > 0) reached("process_vm_readv");
    siginfo_t info = {.si_signo = SIGKILL, .si_code = -1};
    int signals[] = {SIGKILL, SIGSTOP, SIGTERM, SIGSEGV};
    for (int i = 0; i < 4; i++) {
        if (kill(pid, signals[i]) == 0) reached("kill");
        if (syscall(SYS_tgkill, pid, pid, signals[i]) == 0) reached("tgkill");
        if (syscall(SYS_tkill, pid, signals[i]) == 0) reached("tkill");
        if (syscall(SYS_rt_sigqueueinfo, pid, signals[i], &info) == 0) reached("sigqueue");
    }
    int fd = (int)syscall(SYS_pidfd_open, pid, 0);
    if (fd >= 0 && syscall(SYS_pidfd_send_signal, fd, SIGKILL, NULL, 0) == 0) reached("pidfd");
    struct rlimit none = {0, 0};
    if (prlimit(pid, RLIMIT_NOFILE, &none, NULL) == 0) reached("prlimit");
    if (setpriority(PRIO_PROCESS, pid, 19) == 0) reached("setpriority");
    if (setpriority(PRIO_USER, 0, 19) == 0) reached("setpriority of a user");
    cpu_set_t processors;
    CPU_ZERO(&processors);
    CPU_SET(0, &processors);
    if (sched_setaffinity(pid, sizeof processors, &processors) == 0) reached("sched_setaffinity");
    struct sched_param priority = {0};
    if (sched_setscheduler(pid, SCHED_IDLE, &priority) == 0) reached("sched_setscheduler");
    /* The kernel sends the signal, in our name. */
    int pair[2];
    socketpair(AF_UNIX, SOCK_STREAM, 0, pair);
    struct f_owner_ex owner = {F_OWNER_PID, pid};
    fcntl(pair[0], F_SETSIG, SIGKILL);
    if (fcntl(pair[0], F_SETOWN, pid) == 0) reached("F_SETOWN");
    if (fcntl(pair[0], F_SETOWN_EX, &owner) == 0) reached("F_SETOWN_EX");
    if (ioctl(pair[0], FIOSETOWN, &pid) == 0) reached("FIOSETOWN");
    if (ioctl(pair[0], SIOCSPGRP, &pid) == 0) reached("SIOCSPGRP");
    fcntl(pair[0], F_SETFL, O_ASYNC);
    /* A pidfd of the other end of a socket, which may be the builder's, is as good as its number. */
    int on = 1, peer = -1;
    socklen_t length = sizeof peer;
    if (getsockopt(pair[0], SOL_SOCKET, 77 /* SO_PEERPIDFD */, &peer, &length) == 0) reached("SO_PEERPIDFD");
    if (setsockopt(pair[0], SOL_SOCKET, 76 /* SO_PASSPIDFD */, &on, sizeof on) == 0) reached("SO_PASSPIDFD");
    if (prctl(62 /* PR_SCHED_CORE */, 2 /* to */, pid, 0, 0) == 0) reached("PR_SCHED_CORE");
    write(pair[1], "x", 1);
    close(pair[0]);
    close(pair[1]);
}

static void supervisor(void) {
    pid_t mine = getpid();
    attack(getppid());
    attack(builder);
    /* The helper is between the builder and us. */
    for (pid_t pid = mine - 20; pid < mine; pid++) if (pid > 1) attack(pid);
    attack(1);
}

/* As many descriptors and waiting calls as there may be. */
static void exhaustion(void) {
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max < 4096 ? limit.rlim_max : 4096;
    setrlimit(RLIMIT_NOFILE, &limit);
    int count = 0;
    while (open("/marker", O_RDONLY) >= 0) count++;
    printf("%s\n", errno == EMFILE && count > 100 ? "full" : strerror(errno));
    for (int fd = 3; fd < 4096; fd++) close(fd);
    for (int i = 0; i < 300; i++) {
        if (fork() == 0) {
            char path[64];
            snprintf(path, sizeof path, "/tmp/h/fifo-%d", i);
            mkfifo(path, 0600);
            snprintf(path, sizeof path, "/tmp/h/dir-%d", i);
            mkdir(path, 0755);
            chdir(path);
            snprintf(path, sizeof path, "/tmp/h/fifo-%d", i);
            open(path, O_RDONLY);
            pause();
        }
    }
    char *long_name = malloc(1 << 20);
    memset(long_name, 'x', (1 << 20) - 1);
    long_name[(1 << 20) - 1] = 0;
    for (int i = 0; i < 200; i++) { open(long_name, O_RDONLY); syscall(SYS_setxattr, "/tmp/h", "user.x", long_name, 1 << 19, 0); }
    gid_t *groups = calloc(65536, sizeof *groups);
    for (int i = 0; i < 65536; i++) groups[i] = (gid_t)i;
    for (int i = 0; i < 50; i++) { syscall(SYS_setgroups, 65536, groups); if (fork() == 0) pause(); }
}

/* Children that have children, until there are many; they outlive the first. */
static void forks(void) {
    atomic_int *count = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (fork() == 0) {
        setsid();
        signal(SIGTERM, SIG_IGN);
        for (;;) {
            if (atomic_fetch_add(count, 1) > 600) pause();
            fork();
        }
    }
    while (*count < 500) usleep(1000);
}

int main(int arguments, char **values) {
    if (arguments < 4) return 2;
    canary = values[2];
    builder = atoi(values[3]);
    snprintf(outside, sizeof outside, "%.*s", (int)(strrchr(canary, '/') - canary), canary);
    mkdir("/tmp/h", 0755);
    close(open(harmless, O_CREAT | O_WRONLY, 0644));
    const char *part = values[1];
    if (!strcmp(part, "links")) race(swap_links, through_links);
    else if (!strcmp(part, "upwards")) { mkdir("/tmp/h/a", 0755); mkdir("/tmp/h/a/b", 0755); mkdir("/tmp/h/a/b/c", 0755); race(move_directories, upwards); }
    else if (!strcmp(part, "proc")) proc();
    else if (!strcmp(part, "handles")) handles();
    else if (!strcmp(part, "descriptors")) descriptors();
    else if (!strcmp(part, "arguments")) { strcpy(argument, harmless); race(swap_argument, with_argument); }
    else if (!strcmp(part, "supervisor")) supervisor();
    else if (!strcmp(part, "exhaustion")) exhaustion();
    else if (!strcmp(part, "forks")) forks();
    else return 2;
    puts("end");
    return 0;
}
