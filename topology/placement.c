/*
 * The placement plan. CPUs are chosen first (automatically: the first sibling of every usable
 * physical core, by number), then threads are dealt over them round robin, then shards over the
 * threads in contiguous runs as even as they go, then buffer memory over the nodes by their number
 * of shards.
 */
#include "topology/topology.h"

#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

__attribute__((format(printf, 2, 3))) static bool fail(char *error, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(error, TOPOLOGY_ERROR_BYTES, format, args);
    va_end(args);
    return false;
}

static const struct topology_cpu *cpu_find(const struct topology *t, long cpu)
{
    for (uint32_t i = 0; i < t->cpu_count; i++)
        if (t->cpus[i].cpu == cpu)
            return &t->cpus[i];
    return NULL;
}

struct chosen {
    const struct topology_cpu *cpus[TOPOLOGY_CORE_MAX];
    uint32_t count;
};

static bool choose(struct chosen *c, const struct topology_cpu *cpu, char *error)
{
    if (c->count == TOPOLOGY_CORE_MAX)
        return fail(error, "more than %d CPUs in \"cores\"", TOPOLOGY_CORE_MAX);
    c->cpus[c->count++] = cpu;
    return true;
}

static bool choose_auto(const struct topology *t, struct chosen *c, char *error)
{
    for (uint32_t i = 0; i < t->cpu_count && c->count < TOPOLOGY_CORE_MAX; i++) {
        const struct topology_cpu *cpu = &t->cpus[i];
        if (!cpu->is_usable)
            continue;
        bool has_sibling_before = false; /* the first sibling may lie outside of our mask */
        for (uint32_t j = 0; j < i && !has_sibling_before; j++)
            has_sibling_before = t->cpus[j].is_usable && t->cpus[j].core == cpu->core;
        if (!has_sibling_before && !choose(c, cpu, error))
            return false;
    }
    return c->count > 0 || fail(error, "no usable CPU");
}

static bool parse_number(const char **at, long *out)
{
    while (isspace((unsigned char)**at))
        (*at)++;
    if (!isdigit((unsigned char)**at))
        return false;
    char *end;
    errno = 0;
    *out = strtol(*at, &end, 10);
    *at = end;
    while (isspace((unsigned char)**at))
        (*at)++;
    return errno == 0;
}

static bool choose_list(const struct topology *t, const char *list, struct chosen *c, char *error)
{
    const char *at = list;
    for (;;) {
        long first;
        long last;
        if (!parse_number(&at, &first))
            return fail(error, "invalid list of CPUs in \"cores\": \"%s\"", list);
        last = first;
        if (*at == '-') {
            at++;
            if (!parse_number(&at, &last) || last < first)
                return fail(error, "invalid range of CPUs in \"cores\": \"%s\"", list);
        }
        for (long n = first; n <= last; n++) {
            const struct topology_cpu *cpu = cpu_find(t, n);
            if (cpu == NULL)
                return fail(error, "CPU %ld in \"cores\" does not exist", n);
            if (!cpu->is_usable)
                return fail(error, "CPU %ld in \"cores\" is not available to this process", n);
            if (!choose(c, cpu, error))
                return false;
        }
        if (*at == '\0')
            return true;
        if (*at != ',')
            return fail(error, "invalid list of CPUs in \"cores\": \"%s\"", list);
        at++;
    }
}

static void deal_threads(const struct topology *t, const struct placement_config *config,
                         const struct chosen *c, struct placement *out)
{
    for (uint32_t i = 0; i < out->core_count; i++) {
        const struct topology_cpu *cpu = c->cpus[i % c->count]; /* NOLINT: one at least */
        struct placement_core *core = &out->cores[i];
        core->cpu = cpu->cpu;
        core->node = cpu->node;
        core->memory_node = -1;
        if (config->memory == TOPOLOGY_MEMORY_LOCAL)
            core->memory_node = cpu->node;
        else if (config->memory == TOPOLOGY_MEMORY_INTERLEAVE)
            core->memory_node = t->nodes[i % t->node_count].node;
        for (uint32_t j = 0; j < i; j++)
            if (out->cores[j].cpu == core->cpu)
                out->is_oversubscribed = true;
    }
}

static void deal_shards(struct placement *p)
{
    uint32_t each = p->shard_count / p->core_count;
    uint32_t more = p->shard_count % p->core_count;
    uint32_t next = 0;
    for (uint32_t i = 0; i < p->core_count; i++) {
        p->cores[i].shard_first = next;
        p->cores[i].shard_count = each + (i < more ? 1 : 0);
        next += p->cores[i].shard_count;
    }
}

/* A node with a budget of its own divides that among its shards; the rest divides what is left of
 * the whole. */
static bool deal_buffers(const struct placement_config *config, struct placement *p, char *error)
{
    uint64_t left = config->buffer_bytes;
    uint32_t shards_left = 0;
    for (uint32_t i = 0; i < p->core_count; i++) {
        struct placement_core *c = &p->cores[i];
        uint64_t own = config->node_buffer_bytes != NULL
                           ? config->node_buffer_bytes(config->owner, c->node)
                           : 0;
        if (own == 0) {
            shards_left += c->shard_count;
            continue;
        }
        uint32_t on_node = 0;
        for (uint32_t j = 0; j < p->core_count; j++)
            if (p->cores[j].node == c->node)
                on_node += p->cores[j].shard_count;
        c->buffer_bytes = own / on_node * c->shard_count;
        left = left > c->buffer_bytes ? left - c->buffer_bytes : 0;
    }
    if (shards_left > 0 && config->buffer_bytes > 0 && left == 0)
        return fail(error, "the budgets of single nodes leave nothing of shared_buffers");
    for (uint32_t i = 0; i < p->core_count; i++)
        if (p->cores[i].buffer_bytes == 0 && shards_left > 0)
            p->cores[i].buffer_bytes = left / shards_left * p->cores[i].shard_count;
    return true;
}

bool placement_make(const struct topology *t, const struct placement_config *config,
                    struct placement *out, char error[TOPOLOGY_ERROR_BYTES])
{
    *out = (struct placement){0};
    struct chosen chosen = {.count = 0};
    const char *cores = config->cores != NULL ? config->cores : "auto";
    bool is_auto = strcmp(cores, "auto") == 0;
    if (!(is_auto ? choose_auto(t, &chosen, error) : choose_list(t, cores, &chosen, error)))
        return false;
    out->core_count = config->core_threads != 0 ? config->core_threads : chosen.count;
    out->shard_count = config->shard_count != 0 ? config->shard_count : out->core_count;
    if (out->core_count > TOPOLOGY_CORE_MAX)
        return fail(error, "more than %d core threads", TOPOLOGY_CORE_MAX);
    if (out->shard_count < out->core_count) {
        /* An old data directory on a larger machine: a shard has one core. Cores above go without.
         */
        if (config->core_threads != 0)
            return fail(error, "%u core threads cannot share %u shards", out->core_count,
                        out->shard_count);
        out->core_count = out->shard_count;
    }
    out->cores = calloc(out->core_count, sizeof(*out->cores)); /* NOLINT: one at least */
    if (out->cores == NULL)
        return fail(error, "out of memory");
    deal_threads(t, config, &chosen, out);
    deal_shards(out);
    if (!deal_buffers(config, out, error)) {
        placement_free(out);
        return false;
    }
    return true;
}

void placement_free(struct placement *p)
{
    free(p->cores);
    *p = (struct placement){0};
}

uint32_t placement_shard_core(const struct placement *p, uint32_t shard)
{
    for (uint32_t i = 0; i < p->core_count; i++)
        if (shard - p->cores[i].shard_first < p->cores[i].shard_count)
            return i;
    return 0;
}
