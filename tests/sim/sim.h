/*
 * The whole server in the simulated world: what the parts of the program `sim` share.
 *
 * A run is one seed: some lives of a server on one disk, each a forked process that ends in order,
 * by a power loss or by a kill, and is checked by the next. What the run knows (struct run and the
 * workloads' models) lives in memory shared by these processes.
 */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include "core/io_sim.h"

#include <stdarg.h>
#include <stdio.h>

#define SIM_PORT "5432"
#define SIM_DATA "/data"

/* ---- a run and its lives ---- */

/* Workers with rows or tables of their own; more only share. */
enum { WORKERS_MAX = 16 };

enum life_end { END_STOP, END_POWER, END_KILL };

struct workload;

struct life {
    uint32_t number; /* 0 = the first */
    uint32_t cores;
    enum life_end end;
    enum io_sim_end end_where; /* ends by power or kill there; */
    uint64_t end_nth;          /* 0 = after the work */
    uint64_t end_more;
    uint64_t work_us;            /* how long the clients work, in virtual time */
    uint32_t workers;            /* clients at a time */
    const struct workload *only; /* the work of all of them; NULL = drawn for each */
    uint32_t spread_one_in;      /* of the marks' commits: those over several shards */
    bool may_fail;               /* its faults may make the server refuse to start, or go down */
    bool is_last;                /* no faults; all is verified */
    bool is_rotten;    /* bits of its files have turned: errors are right, wrong answers not */
    bool is_cut_short; /* in the log's last writes, which may be taken for a torn tail: what was
                        * acknowledged last may be lost, as a whole */
    uint32_t checkpointers; /* clients that only make checkpoints */
    uint64_t checkpoint_pause_us;
    uint32_t prepared_max;  /* max_prepared_transactions */
    uint32_t cancel_one_in; /* of the statements at work; 0 = none */
    uint32_t link_slots;
    const char *session_moves; /* the setting */
    uint64_t disk_room;        /* UINT64_MAX = no limit */
    struct io_sim_faults faults;
};

struct run {
    uint64_t seed;
    uint32_t shards;
    uint64_t pool_kb;
    uint64_t versions_kb;   /* version_store_size */
    uint32_t workload_mask; /* 0 = all */
    bool has_big_rows;      /* so that tables outgrow the pool */
    bool is_set_up;         /* the tables are there */
    struct life life;
    bool is_life_start; /* verifying what the last life left: no fate is open any more */
    char failure[4096]; /* the first one; empty = none */
    uint64_t statements;
    uint64_t commits;
    uint64_t unknown_commits;
    uint64_t errors;
    uint64_t simulated_us;
    uint64_t disk_steps;
    uint32_t lives_done;
    uint64_t progress_us; /* when a client last got an answer */
};
extern struct run *run;
extern bool sim_verbose;

/* The run has found a bug: says where, ends the process. */
NORETURN void sim_fail(const char *format, ...) PRINTF_LIKE(1, 2);
#define SIM_CHECK(condition, ...)                                                                  \
    do {                                                                                           \
        if (!(condition))                                                                          \
            sim_fail(__VA_ARGS__);                                                                 \
    } while (0)
void sim_note(const char *format, ...) PRINTF_LIKE(1, 2); /* with --verbose */

static inline uint32_t sim_below(uint32_t n)
{
    return (uint32_t)io_sim_random(n);
}

/* The entry of the clients' core: arg unused. */
SUSPENDS void controller_main(void *arg);
bool controller_work_is_over(void);
bool controller_workers_are_gone(void);
/* Shall the statement that was just sent be cancelled? */
bool controller_cancels(void);

/* ---- a client (client.c) ---- */

/* What became of a request. LOST: the connection ended before the answer came. */
enum answer { DONE, FAILED, LOST };

struct client;
/* NULL when the server refuses or the connection breaks. */
SUSPENDS struct client *client_open_wait(void);
SUSPENDS void client_close_wait(struct client *c); /* with Terminate; NULL is fine */
void client_break(struct client *c);               /* the connection just goes away */
/* Simple protocol; the format makes the text. */
SUSPENDS enum answer client_query_wait(struct client *c, const char *format, ...) PRINTF_LIKE(2, 3);
/* Extended protocol: $1... are texts, ended by NULL. Named when name is not "": parsed once. */
SUSPENDS enum answer client_execute_wait(struct client *c, const char *name, const char *text, ...);
/* COPY ... FROM STDIN of these rows, in pieces. stop_at: after so many bytes the copy is ended
 * (SIZE_MAX = whole). */
enum copy_stop { COPY_FAIL_MESSAGE, COPY_BREAK };
SUSPENDS enum answer client_copy_in_wait(struct client *c, const char *text, const char *rows,
                                         size_t len, size_t stop_at, enum copy_stop how);
/* Sends a query and does not wait for its end; the next client_finish_wait() does. */
bool client_send_query(struct client *c, const char *text);
SUSPENDS enum answer client_finish_wait(struct client *c);
SUSPENDS void client_cancel_wait(struct client *c); /* over a connection of its own */

uint32_t client_rows(const struct client *c);
uint32_t client_columns(const struct client *c);                                 /* of the rows */
const char *client_value(const struct client *c, uint32_t row, uint32_t column); /* NULL = null */
int64_t client_int(const struct client *c, uint32_t row, uint32_t column);
const char *client_sqlstate(const struct client *c); /* of the last FAILED */
const char *client_message(const struct client *c);
const char *client_tag(const struct client *c);
char client_status(const struct client *c); /* I, T, E */

/* ---- workloads ---- */

struct workload {
    const char *name;
    /* Makes its tables and first rows, in one transaction of the caller's. */
    enum answer (*set_up_wait)(struct client *c);
    /* What a worker does until controller_work_is_over(); number: 0... below the life's workers. */
    void (*work_wait)(uint32_t number);
    /* Beside the workers, in every life, until controller_workers_are_gone(). NULL = nothing. */
    void (*keep_wait)(void);
    /* Nobody else works. Compares the database with the model. */
    void (*verify_wait)(struct client *c);
    /* Without the model: what must hold within the database. NULL = nothing. */
    void (*verify_itself_wait)(struct client *c);
    uint32_t share;     /* of the workers, beside the other workloads' */
    bool is_for_crowds; /* any number of workers */
    /* Allocates the model, once per run. NULL = there is none. */
    void (*start)(void);
};
extern const struct workload bank_workload;
extern const struct workload marks_workload;
extern const struct workload list_workload;
extern const struct workload rows_workload;
extern const struct workload sequence_workload;
extern const struct workload copy_workload;
extern const struct workload ddl_workload;
extern const struct workload index_workload;
extern const struct workload shape_workload;
extern const struct workload counter_workload;
extern const struct workload pair_workload;
extern const struct workload *const workloads[];
extern const uint32_t workload_count;

/* An error that any statement may meet while faults are about or others are at work. Others fail
 * the run. */
void sim_expect_error(const struct client *c, const char *doing);
/* What is known of something that was to be committed. */
enum fate { FATE_NONE, FATE_COMMITTED, FATE_ABORTED, FATE_UNKNOWN };

/* A worker's connection, opened again when it was lost; NULL when the work is over. */
SUSPENDS struct client *work_client_wait(struct client *c, enum answer last);
/* BEGIN at a level drawn from the seed. */
enum sim_isolation { SIM_READ_COMMITTED, SIM_REPEATABLE_READ, SIM_SERIALIZABLE };
SUSPENDS enum answer work_begin_wait(struct client *c, enum sim_isolation level);
/* COMMIT, and what became of it. *fate is FATE_UNKNOWN from when it is sent. */
SUSPENDS enum answer work_commit_wait(struct client *c, enum fate *fate);
/* The same, after changes of deferrable keys: 23505 is an answer. */
SUSPENDS enum answer work_commit_keys_wait(struct client *c, enum fate *fate);
/* A statement that writes, in a transaction of its own. */
#define WORK_SINGLE(fate, call) work_single(fate, (*(fate) = FATE_UNKNOWN, call))
enum answer work_single(enum fate *fate, enum answer a);
/* After a statement in a transaction failed: ROLLBACK. */
SUSPENDS enum answer work_rollback_wait(struct client *c);
/* Again and again CHECKPOINT, beside the others. */
SUSPENDS void work_checkpoints_wait(void);
/* Verification's own statements must succeed; retried over the usual errors of others. */
SUSPENDS void verify_query_wait(struct client *c, const char *format, ...) PRINTF_LIKE(2, 3);

#endif
