/*
 * void fiber_switch(void **save_sp, void *load_sp)
 * Saves the callee-saved registers on the running stack, its stack pointer in *save_sp, and goes on
 * where load_sp was saved. fiber_trampoline is the first return address of a new stack: it ends the
 * chain of frames for unwinders and calls fiber_main.
 */
#if defined(__x86_64__)
    .text
    .globl fiber_switch
    .type fiber_switch, @function
    .p2align 4
fiber_switch:
    .cfi_startproc
    endbr64
    pushq %rbp
    pushq %rbx
    pushq %r12
    pushq %r13
    pushq %r14
    pushq %r15
    movq %rsp, (%rdi)
    movq %rsi, %rsp
    popq %r15
    popq %r14
    popq %r13
    popq %r12
    popq %rbx
    popq %rbp
    ret
    .cfi_endproc
    .size fiber_switch, .-fiber_switch

    .globl fiber_trampoline
    .type fiber_trampoline, @function
    .p2align 4
fiber_trampoline:
    .cfi_startproc
    .cfi_undefined rip
    endbr64
    xorl %ebp, %ebp
    call fiber_main
    ud2
    .cfi_endproc
    .size fiber_trampoline, .-fiber_trampoline
#endif
    .section .note.GNU-stack, "", %progbits
