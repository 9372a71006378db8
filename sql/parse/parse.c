/*
 * Text to raw trees by libpg_query's raw parser.
 *
 * Each parse has a memory context of its own, so trees of several fibers can live side by side. The
 * library keeps its globals per thread and sets them up on a thread's first use. The scanner and
 * grammar run on the core's big stack; their error exit is a longjmp that stays inside
 * parse_on_big_stack().
 */
#include "sql/parse/parse.h"

#include "core/core.h"
#include "sql/parse/nodes.h"

/* What the library really exports (the server headers declare plain globals). */
extern __thread MemoryContext CurrentMemoryContext;
extern __thread MemoryContext TopMemoryContext;
extern __thread sigjmp_buf *PG_exception_stack;
extern __thread ErrorContextCallback *error_context_stack;
extern __thread int log_min_messages;
extern __thread int client_min_messages;
MemoryContext pg_query_enter_memory_context(void);

enum { LEVEL_PANIC = 23 };

struct parse_job {
    const char *text;
    MemoryContext context;
    List *tree;
    ErrorData *error;
};

static void parse_on_big_stack(void *arg)
{
    struct parse_job *volatile job = arg;
    job->context = pg_query_enter_memory_context();
    log_min_messages = LEVEL_PANIC; /* notices of the scanner do not go to stderr */
    client_min_messages = LEVEL_PANIC;
    sigjmp_buf *saved_stack = PG_exception_stack;
    ErrorContextCallback *saved_callbacks = error_context_stack;
    sigjmp_buf exit_point;
    if (sigsetjmp(exit_point, 0) == 0) {
        PG_exception_stack = &exit_point;
        job->tree = raw_parser(job->text, RAW_PARSE_DEFAULT);
    } else {
        CurrentMemoryContext = job->context;
        job->error = CopyErrorData();
        FlushErrorState();
    }
    PG_exception_stack = saved_stack;
    error_context_stack = saved_callbacks;
    CurrentMemoryContext = TopMemoryContext;
}

static void parse_drop_context(void *context)
{
    MemoryContextDelete(context);
}

static err_t parse_sqlstate(int packed)
{
    char state[6];
    for (int i = 0; i < 5; i++) {
        state[i] = (char)PGUNSIXBIT(packed);
        packed >>= 6;
    }
    state[5] = '\0';
    for (int code = 1; code < ERR_COUNT; code++) {
        if (strcmp(err_sqlstate((err_t)code), state) == 0)
            return (err_t)code;
    }
    return ERR_SYNTAX_ERROR;
}

static COLD err_t parse_error(const ErrorData *error)
{
    err_t code = err_raise(parse_sqlstate(error->sqlerrcode), "%s",
                           error->message ? error->message : "syntax error");
    if (error->detail)
        err_detail("%s", error->detail);
    if (error->hint)
        err_hint("%s", error->hint);
    if (error->cursorpos > 0)
        err_position(error->cursorpos);
    return code;
}

err_t parse_text(const char *text, struct arena *mem, struct parsed **out)
{
    struct parse_job job = {.text = text};
    core_on_big_stack(parse_on_big_stack, &job);
    if (job.error) {
        err_t code = parse_error(job.error);
        core_on_big_stack(parse_drop_context, job.context);
        return code;
    }
    struct parsed *p = ARENA_NEW(mem, struct parsed);
    p->memory = job.context;
    p->count = (uint32_t)list_length(job.tree);
    p->statements = ARENA_ARRAY(mem, struct raw_statement, p->count + 1);
    for (uint32_t i = 0; i < p->count; i++) {
        const RawStmt *raw = list_nth(job.tree, (int)i);
        p->statements[i] = (struct raw_statement){
            .node = raw->stmt,
            .location = raw->stmt_location < 0 ? 0 : raw->stmt_location,
            .length = raw->stmt_len,
        };
    }
    *out = p;
    return ERR_OK;
}

void parse_free(struct parsed *p)
{
    if (!p || !p->memory)
        return;
    core_on_big_stack(parse_drop_context, p->memory);
    p->memory = NULL;
    p->count = 0;
}

bool parse_is_transaction_exit(const struct raw_statement *s)
{
    const Node *node = s->node;
    if (!IsA(node, TransactionStmt))
        return false;
    switch (((const TransactionStmt *)node)->kind) {
    case TRANS_STMT_COMMIT:
    case TRANS_STMT_PREPARE:
    case TRANS_STMT_ROLLBACK:
    case TRANS_STMT_ROLLBACK_TO:
        return true;
    default:
        return false;
    }
}
