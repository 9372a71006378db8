/*
 * void fiber_switch(void **save_sp, void *load_sp): as fiber_switch_x86_64.S, for the AAPCS64:
 * x19-x30 and d8-d15 are the callee's to keep. The frame is 160 bytes, lowest address first:
 * x19 x20 | x21 x22 | x23 x24 | x25 x26 | x27 x28 | x29 x30 | d8 d9 | d10 d11 | d12 d13 | d14 d15
 */
#if defined(__aarch64__)
    .text
    .globl fiber_switch
    .type fiber_switch, %function
    .p2align 4
fiber_switch:
    sub sp, sp, #160
    stp x19, x20, [sp, #0]
    stp x21, x22, [sp, #16]
    stp x23, x24, [sp, #32]
    stp x25, x26, [sp, #48]
    stp x27, x28, [sp, #64]
    stp x29, x30, [sp, #80]
    stp d8, d9, [sp, #96]
    stp d10, d11, [sp, #112]
    stp d12, d13, [sp, #128]
    stp d14, d15, [sp, #144]
    mov x9, sp
    str x9, [x0]
    mov sp, x1
    ldp x19, x20, [sp, #0]
    ldp x21, x22, [sp, #16]
    ldp x23, x24, [sp, #32]
    ldp x25, x26, [sp, #48]
    ldp x27, x28, [sp, #64]
    ldp x29, x30, [sp, #80]
    ldp d8, d9, [sp, #96]
    ldp d10, d11, [sp, #112]
    ldp d12, d13, [sp, #128]
    ldp d14, d15, [sp, #144]
    add sp, sp, #160
    ret
    .size fiber_switch, .-fiber_switch

    .globl fiber_trampoline
    .type fiber_trampoline, %function
    .p2align 4
fiber_trampoline:
    .cfi_startproc
    .cfi_undefined x30
    mov x29, #0
    mov x30, #0
    bl fiber_main
    brk #1
    .cfi_endproc
    .size fiber_trampoline, .-fiber_trampoline
#endif
    .section .note.GNU-stack, "", %progbits
