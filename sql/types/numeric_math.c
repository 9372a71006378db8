/*
 * Roots, exponentials and logarithms of numerics, by series on exact digits with guard digits.
 *
 * sqrt: Newton's iteration. exp: halve the argument until it is below 0.01, Taylor, square back.
 * ln: powers of the base apart, roots until the argument is within 0.9 .. 1.1, then
 * 2·artanh((x-1)/(x+1)) as a series, doubled back. Work is done with guard places beyond rscale, so
 * that only the last place is rounded.
 */
#include "sql/types/number.h"

#include <math.h>

static bool number_is_small(const struct number *n, int32_t rscale)
{
    /* below 10^-(rscale + 1) */
    return n->count == 0 || (n->weight + 1) * NUMERIC_BASE_DIGITS < -rscale;
}

struct number number_sqrt(struct arena *mem, const struct number *n, int32_t rscale)
{
    if (n->count == 0) {
        struct number zero = number_of_i64(mem, 0);
        zero.dscale = rscale;
        return zero;
    }
    int32_t work = rscale + 8;
    /* First guess from the leading digits, with an even power of the base taken out. */
    int32_t even = n->weight - (n->weight & 1);
    struct number lead = *n;
    lead.weight -= even;
    double guess = sqrt(number_to_f64(&lead));
    struct number x = number_of_i64(mem, (int64_t)(guess * 1e8));
    x.weight -= 2; /* / 10^8 */
    x.weight += even / 2;
    x.dscale = work;
    struct number half = number_of_i64(mem, 5000);
    half.weight -= 1;
    half.dscale = 1;
    for (int i = 0; i < 64; i++) {
        struct number q = number_div(mem, n, &x, work, true);
        struct number sum = number_add(mem, &x, &q);
        struct number next = number_mul(mem, &sum, &half, work);
        struct number change = number_sub(mem, &next, &x);
        x = next;
        if (number_is_small(&change, work - 2))
            break;
    }
    return number_round(mem, &x, rscale);
}

struct number number_exp(struct arena *mem, const struct number *n, int32_t rscale)
{
    /* Result has about n / ln 10 digits before the point; the squarings lose digits by the same
     * count. */
    double approximate = number_to_f64(n);
    int32_t digits = (int32_t)fmax(0, approximate * 0.4342944819 + 1);
    int halvings = 0;
    double left = fabs(approximate);
    while (left > 0.01) {
        left /= 2;
        halvings++;
    }
    int32_t work = rscale + digits + halvings / 3 + 12;
    struct number x = *n;
    if (halvings > 0) {
        struct number power = number_of_i64(mem, 1);
        struct number two = number_of_i64(mem, 2);
        for (int i = 0; i < halvings; i++)
            power = number_mul(mem, &power, &two, 0);
        x = number_div(mem, n, &power, work, true);
    }
    struct number sum = number_of_i64(mem, 1);
    struct number term = number_of_i64(mem, 1);
    for (int64_t i = 1;; i++) {
        struct number k = number_of_i64(mem, i);
        term = number_mul(mem, &term, &x, work);
        term = number_div(mem, &term, &k, work, true);
        if (term.count == 0)
            break;
        sum = number_add(mem, &sum, &term);
    }
    for (int i = 0; i < halvings; i++)
        sum = number_mul(mem, &sum, &sum, work);
    return number_round(mem, &sum, rscale);
}

/* ln(x) = ln(m) + w ln(10000): the digits of x before the point cost nothing then. */
static struct number ln_of_far(struct arena *mem, const struct number *n, int32_t rscale)
{
    int32_t work = rscale + 12;
    struct number lead = *n;
    lead.weight = 0;
    lead.dscale = MAX(0, (lead.count - 1) * NUMERIC_BASE_DIGITS);
    lead = number_round(mem, &lead, MIN(lead.dscale, work));
    lead = number_ln(mem, &lead, work);
    struct number base = number_of_i64(mem, NUMERIC_BASE);
    base = number_ln(mem, &base, work);
    struct number weight = number_of_i64(mem, n->weight);
    base = number_mul(mem, &base, &weight, work);
    lead = number_add(mem, &lead, &base);
    return number_round(mem, &lead, rscale);
}

/* n > 0 */
struct number number_ln(struct arena *mem, const struct number *n, int32_t rscale)
{
    if (n->weight > 2 || n->weight < -2)
        return ln_of_far(mem, n, rscale);
    int32_t work = rscale + 12;
    struct number x = *n;
    int doublings = 1;
    struct number low = number_of_i64(mem, 9);
    struct number high = number_of_i64(mem, 11);
    struct number ten = number_of_i64(mem, 10);
    low = number_div(mem, &low, &ten, 1, true);
    high = number_div(mem, &high, &ten, 1, true);
    int roots = 0;
    while (number_compare(&x, &low) <= 0 || number_compare(&x, &high) >= 0) {
        x = number_sqrt(mem, &x, work + MAX(0, -x.weight) * NUMERIC_BASE_DIGITS);
        roots++;
    }
    work += roots / 3;
    struct number one = number_of_i64(mem, 1);
    struct number above = number_sub(mem, &x, &one);
    struct number below = number_add(mem, &x, &one);
    struct number z = number_div(mem, &above, &below, work, true);
    struct number square = number_mul(mem, &z, &z, work);
    struct number sum = z;
    struct number power = z;
    for (int64_t i = 3;; i += 2) {
        struct number k = number_of_i64(mem, i);
        power = number_mul(mem, &power, &square, work);
        struct number term = number_div(mem, &power, &k, work, true);
        if (term.count == 0)
            break;
        sum = number_add(mem, &sum, &term);
    }
    struct number two = number_of_i64(mem, 2);
    for (int i = 0; i < roots + doublings; i++)
        sum = number_mul(mem, &sum, &two, work);
    return number_round(mem, &sum, rscale);
}

int32_t number_ln_decimal_weight(struct arena *mem, const struct number *n)
{
    double lead = number_to_f64(&(struct number){
        .count = n->count, .digits = n->digits, .weight = 0, .sign = NUMERIC_POSITIVE});
    double near = n->weight == 0 ? lead : n->weight == -1 ? lead / NUMERIC_BASE : 0;
    if (near >= 0.9 && near <= 1.1) { /* ln(1 + x) is about x */
        struct number one = number_of_i64(mem, 1);
        struct number x = number_sub(mem, n, &one);
        return x.count == 0 ? 0
                            : x.weight * NUMERIC_BASE_DIGITS + (int32_t)log10((double)x.digits[0]);
    }
    double ln = log(lead) + n->weight * log(NUMERIC_BASE);
    return (int32_t)log10(fabs(ln));
}
