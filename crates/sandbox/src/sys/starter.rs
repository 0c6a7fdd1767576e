//! The starter: the code of a program of ours that loads another as the kernel would, and becomes it.
//!
//! It does what a table says, which lies at [`TABLE`] from the beginning of its memory: steps of eight words. The first
//! word is the number of a system call, and six are its arguments; the last says what is special, see [`Special`]. It is
//! [`GO`] for the last step, whose second word is where to go on, and [`ZERO`] for memory to be filled with zeroes, whose
//! second and third word say where and how many. If a call fails the process ends with 127.
//!
//! The stack is left alone, and so are all signals; the registers are zero in the end, as after an execve(2).

use core::arch::global_asm;

/// Where the code is in the file, and from the beginning of its memory: behind the ELF header and three program headers.
pub(crate) const CODE: u64 = 64 + 3 * 56;
/// Where the table is: a distance that is a multiple of the largest page of any machine.
pub(crate) const TABLE: u64 = 0x1_0000;
/// The step that goes on with the program.
pub(crate) const GO: u64 = u64::MAX;
/// The step that fills memory with zeroes.
pub(crate) const ZERO: u64 = u64::MAX - 1;

/// What is special about a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u64)]
pub(crate) enum Special {
    Nothing = 0,
    /// Its fifth argument is the descriptor that is kept, as mmap(2) wants it.
    FifthIsKept = 1,
    /// Its first argument is that descriptor, as close(2) wants it.
    FirstIsKept = 2,
    /// It returns a descriptor that is to be kept.
    Keep = 4,
}

#[cfg(target_arch = "x86_64")]
global_asm!(
    ".pushsection .rodata.sandbox_starter, \"a\", @progbits",
    ".globl sandbox_starter_begin",
    ".hidden sandbox_starter_begin",
    ".globl sandbox_starter_end",
    ".hidden sandbox_starter_end",
    "sandbox_starter_begin:",
    ".Lsandbox_starter:",
    "    lea rbx, [rip + .Lsandbox_starter + {table}]",
    ".Lsandbox_starter_step:",
    "    mov rax, [rbx]",
    "    cmp rax, -1",
    "    je .Lsandbox_starter_go",
    "    cmp rax, -2",
    "    je .Lsandbox_starter_zero",
    "    mov rdi, [rbx + 8]",
    "    mov rsi, [rbx + 16]",
    "    mov rdx, [rbx + 24]",
    "    mov r10, [rbx + 32]",
    "    mov r8, [rbx + 40]",
    "    mov r9, [rbx + 48]",
    "    test byte ptr [rbx + 56], 1",
    "    cmovnz r8, r12",
    "    test byte ptr [rbx + 56], 2",
    "    cmovnz rdi, r12",
    "    syscall",
    "    cmp rax, -4095",
    "    jae .Lsandbox_starter_fail",
    "    test byte ptr [rbx + 56], 4",
    "    cmovnz r12, rax",
    ".Lsandbox_starter_next:",
    "    add rbx, 64",
    "    jmp .Lsandbox_starter_step",
    ".Lsandbox_starter_zero:",
    "    mov rdi, [rbx + 8]",
    "    mov rcx, [rbx + 16]",
    "    xor eax, eax",
    "    rep stosb",
    "    jmp .Lsandbox_starter_next",
    ".Lsandbox_starter_go:",
    "    mov r11, [rbx + 8]",
    "    xor eax, eax",
    "    xor ebx, ebx",
    "    xor ecx, ecx",
    "    xor edx, edx",
    "    xor esi, esi",
    "    xor edi, edi",
    "    xor r8d, r8d",
    "    xor r9d, r9d",
    "    xor r10d, r10d",
    "    xor r12d, r12d",
    "    jmp r11",
    ".Lsandbox_starter_fail:",
    "    mov edi, 127",
    "    mov eax, 231", // exit_group(2)
    "    syscall",
    "    ud2",
    "sandbox_starter_end:",
    ".popsection",
    table = const TABLE - CODE,
);

#[cfg(target_arch = "aarch64")]
global_asm!(
    ".pushsection .rodata.sandbox_starter, \"a\", %progbits",
    ".balign 4",
    ".globl sandbox_starter_begin",
    ".hidden sandbox_starter_begin",
    ".globl sandbox_starter_end",
    ".hidden sandbox_starter_end",
    "sandbox_starter_begin:",
    ".Lsandbox_starter:",
    "    adr x19, .Lsandbox_starter + {table}",
    ".Lsandbox_starter_step:",
    "    ldr x8, [x19]",
    "    cmn x8, #1",
    "    b.eq .Lsandbox_starter_go",
    "    cmn x8, #2",
    "    b.eq .Lsandbox_starter_zero",
    "    ldp x0, x1, [x19, #8]",
    "    ldp x2, x3, [x19, #24]",
    "    ldp x4, x5, [x19, #40]",
    "    ldr x9, [x19, #56]",
    "    tst x9, #1",
    "    csel x4, x20, x4, ne",
    "    tst x9, #2",
    "    csel x0, x20, x0, ne",
    "    svc #0",
    "    cmn x0, #4095",
    "    b.hs .Lsandbox_starter_fail",
    "    ldr x9, [x19, #56]",
    "    tst x9, #4",
    "    csel x20, x0, x20, ne",
    ".Lsandbox_starter_next:",
    "    add x19, x19, #64",
    "    b .Lsandbox_starter_step",
    ".Lsandbox_starter_zero:",
    "    ldp x0, x1, [x19, #8]",
    ".Lsandbox_starter_byte:",
    "    cbz x1, .Lsandbox_starter_next",
    "    strb wzr, [x0], #1",
    "    sub x1, x1, #1",
    "    b .Lsandbox_starter_byte",
    ".Lsandbox_starter_go:",
    "    ldr x16, [x19, #8]",
    "    mov x0, xzr",
    "    mov x1, xzr",
    "    mov x2, xzr",
    "    mov x3, xzr",
    "    mov x4, xzr",
    "    mov x5, xzr",
    "    mov x8, xzr",
    "    mov x9, xzr",
    "    mov x19, xzr",
    "    mov x20, xzr",
    "    br x16",
    ".Lsandbox_starter_fail:",
    "    mov x0, #127",
    "    mov x8, #94", // exit_group(2)
    "    svc #0",
    "    udf #0",
    "sandbox_starter_end:",
    ".popsection",
    table = const TABLE - CODE,
);

/// The instructions. They work wherever they are, so long as the table is where it should be.
pub(crate) fn code() -> &'static [u8] {
    unsafe extern "C" {
        static sandbox_starter_begin: u8;
        static sandbox_starter_end: u8;
    }
    let (begin, end) = (&raw const sandbox_starter_begin, &raw const sandbox_starter_end);
    // SAFETY: both are labels around the instructions above, which nothing changes, in the order they are used here.
    unsafe { std::slice::from_raw_parts(begin, end.offset_from_unsigned(begin)) }
}
