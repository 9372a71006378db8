/* Work on all shards at once: one fiber on each shard's core, joined here. */
#include "sql/ddl/ddl_priv.h"

static SUSPENDS err_t work_call(void *arg)
{
    struct shard_work *w = arg;
    return w->fn(w);
}

err_t ddl_on_shards_wait(struct ddl_context *x, err_t (*fn)(struct shard_work *w), void *arg)
{
    uint32_t n = shard_count();
    struct txn *t = x->catalog->txn;
    struct shard_work *works = core_zalloc(sizeof(*works) * n);
    for (uint32_t i = 0; i < n; i++) {
        works[i].shard = i;
        works[i].fn = fn;
        works[i].arg = arg;
        works[i].view = txn_view_make(t, i, true);
        core_call_start(&works[i].call, shard_core(i), work_call, &works[i]);
    }
    err_t first = ERR_OK;
    struct diag *kept = NULL;
    for (uint32_t i = 0; i < n; i++) {
        err_t e = core_call_join_wait(&works[i].call);
        txn_merge(t, i, &works[i].view);
        if (e == ERR_OK || first != ERR_OK)
            continue;
        first = e;
        kept = core_malloc(sizeof(*kept));
        diag_copy(kept, err_diag());
    }
    core_free(works);
    if (kept) {
        first = err_adopt(kept);
        core_free(kept);
    }
    return first;
}

struct files_work {
    const struct ddl_file *files;
    uint32_t count;
    bool drop;
};

static SUSPENDS err_t files_on_shard(struct shard_work *w)
{
    const struct files_work *f = w->arg;
    struct shard *s = shard_local(w->shard);
    for (uint32_t i = 0; i < f->count; i++) {
        /* a sequence lives on one shard */
        if (f->files[i].kind == FILE_SEQUENCE)
            continue;
        if (f->drop)
            TRY(shard_file_drop_wait(s, &w->view, f->files[i].file));
        else
            TRY(shard_file_create_wait(s, &w->view, f->files[i].file, f->files[i].kind));
    }
    return ERR_OK;
}

err_t ddl_files_create_wait(struct ddl_context *x, const struct ddl_file *files, uint32_t count)
{
    struct files_work w = {.files = files, .count = count};
    return count ? ddl_on_shards_wait(x, files_on_shard, &w) : ERR_OK;
}

err_t ddl_files_drop_wait(struct ddl_context *x, const struct ddl_file *files, uint32_t count)
{
    struct files_work w = {.files = files, .count = count, .drop = true};
    return count ? ddl_on_shards_wait(x, files_on_shard, &w) : ERR_OK;
}

struct size_call {
    uint32_t shard;
    file_id file;
    uint64_t bytes;
    uint64_t rows;
};

static err_t size_on_shard(void *arg)
{
    struct size_call *c = arg;
    struct shard *s = shard_local(c->shard);
    c->bytes = shard_file_bytes(s, c->file);
    c->rows = shard_file_rows_estimate(s, c->file);
    return ERR_OK;
}

err_t ddl_file_size_wait(struct ddl_context *x, file_id file, uint64_t *bytes, uint64_t *rows)
{
    (void)x;
    *bytes = 0;
    *rows = 0;
    for (uint32_t i = 0; i < shard_count(); i++) {
        struct size_call c = {.shard = i, .file = file};
        TRY(core_call_wait(shard_core(i), size_on_shard, &c));
        *bytes += c.bytes;
        *rows += c.rows;
    }
    return ERR_OK;
}
