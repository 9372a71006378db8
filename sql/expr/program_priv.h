/*
 * Compiled expressions: the instructions that compile.c emits and eval.c runs.
 *
 * A program works on numbered registers (a datum and a null flag each). Outputs are registers
 * 0 .. output_count-1; arguments of a call stand in consecutive registers. Jumps go forward only,
 * so a program always ends. A program is immutable: state of call sites lives with the eval, found
 * by the program's address.
 */
#ifndef SQL_EXPR_PROGRAM_PRIV_H
#define SQL_EXPR_PROGRAM_PRIV_H

#include "sql/expr/expr.h"

/* OP(name): see eval.c for the meaning of each. */
#define PROGRAM_OPS(OP)                                                                            \
    OP(END)                                                                                        \
    OP(CONST)                                                                                      \
    OP(PARAM)                                                                                      \
    OP(EXEC_PARAM)                                                                                 \
    OP(INPUT)                                                                                      \
    OP(COPY)                                                                                       \
    OP(SET_NULL)                                                                                   \
    OP(JUMP)                                                                                       \
    OP(JUMP_UNLESS_TRUE)                                                                           \
    OP(JUMP_UNLESS_NULL)                                                                           \
    OP(AND_STEP)                                                                                   \
    OP(OR_STEP)                                                                                    \
    OP(AND_OR_LAST)                                                                                \
    OP(NOT)                                                                                        \
    OP(WORD_SIGNED)                                                                                \
    OP(WORD_UNSIGNED)                                                                              \
    OP(IS_NULL)                                                                                    \
    OP(IS_NULL_ROW)                                                                                \
    OP(IS_BOOL)                                                                                    \
    OP(INT_EQ)                                                                                     \
    OP(INT_NE)                                                                                     \
    OP(INT_LT)                                                                                     \
    OP(INT_LE)                                                                                     \
    OP(INT_GT)                                                                                     \
    OP(INT_GE)                                                                                     \
    OP(INT4_ADD)                                                                                   \
    OP(INT4_SUB)                                                                                   \
    OP(INT4_MUL)                                                                                   \
    OP(INT8_ADD)                                                                                   \
    OP(INT8_SUB)                                                                                   \
    OP(INT8_MUL)                                                                                   \
    OP(TEXT_EQ)                                                                                    \
    OP(TEXT_NE)                                                                                    \
    OP(CALL)                                                                                       \
    OP(CALL_STRICT1)                                                                               \
    OP(CALL_STRICT2)                                                                               \
    OP(CALL_STRICT)                                                                                \
    OP(CALL_SUSPENDS)                                                                              \
    OP(NULLIF)                                                                                     \
    OP(DISTINCT_NULLS)                                                                             \
    OP(MIN_MAX)                                                                                    \
    OP(ANY_ALL)                                                                                    \
    OP(ARRAY)                                                                                      \
    OP(SUBSCRIPT)                                                                                  \
    OP(ROW)                                                                                        \
    OP(IO_CAST)                                                                                    \
    OP(ARRAY_CAST)                                                                                 \
    OP(TYPMOD)                                                                                     \
    OP(SQL_VALUE)                                                                                  \
    OP(SUBPLAN)                                                                                    \
    OP(NEXTVAL)

enum program_op {
#define OP(name) OP_##name,
    PROGRAM_OPS(OP)
#undef OP
};

struct instr {
    uint16_t op;
    uint8_t flag;
    uint8_t flag2;
    uint32_t dst;
    uint32_t a;
    uint32_t b; /* second register, or jump target */
    union {
        datum value;
        const struct call_site *site;
        const struct type_info *type;
        uint64_t number;
    };
};

/* What a call, a cast, an array constructor needs beside registers. */
struct call_site {
    const struct func *func;
    const oid *arg_types;
    oid result_type;
    int32_t typmod;
    oid collation;
    uint32_t arg_count;
    uint32_t state_index;
    /* ANY/ALL */
    bool use_all;
    bool is_stable_array; /* the array is the same in all evaluations */
    bool can_hash;
    const struct type_info *type; /* element of arrays, target of casts */
    const struct type_info *source;
    oid element; /* of the target when that is an array */
    bool is_nested_array;
    bool is_slice;
    uint32_t omitted; /* bounds of a slice */
};

struct program {
    struct instr *code;
    uint32_t count;
    uint32_t register_count;
    uint32_t output_count;
    uint32_t state_count;
    bool uses_memory;
    uint64_t inputs_used;     /* bit per slot */
    uint32_t input_counts[4]; /* highest index used + 1 per slot */
};

#endif
