/*
 * The compiled reader of the serving table: finds the name, walks to what answers for it, and copies.
 *
 * It answers what is plain and leaves everything else to the Python reader in the same process, which is the reference:
 * table_layout.py says where everything stands, table_reader.py, table_copy.py, answerer_cache.py, answerer_clients.py
 * and shared_limiter.py say in more words what is done here. Nothing is decided here.
 *
 * One process writes the table while this runs. Words that may change are loaded with acquire, so whatever a word points to is
 * seen as it was when the word was stored. Blocks never change, and are not reused before this process has passed to a
 * later epoch, which answerer.py does between two calls. No pointer into a block outlives a call, but for the list of
 * zones, which native.py looks at anew in the same step in which the epoch is passed.
 *
 * SOURCE is the checksum of this file, by which native.py knows that a library was built from it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the words of the table are little-endian"
#endif

enum { TABLE_FORMAT = 2, WORD_SLOTS = 2, WORD_ZONES = 3, WORD_NOTICES = 6, WORD_LEASES = 7 };
enum { NODE_CUT = 1, NODE_DNAME = 2, NODE_LEASED = 4, DNSSEC_DIFFERS = 1 };
enum { COUNT_SHORT = 128, COUNT_ANSWER, COUNT_OVERSIZED, COUNT_UNSENT };
enum { COUNT_BATCHES = 137, COUNT_LIMITED = 139, COUNT_CUT, COUNT_NATIVE, TIMES, TIME_BUCKETS = 24 };
enum { BATCH = 64, PACKET_OCTETS_MAX = 4096, HEADER_OCTETS = 12, OPT_OCTETS = 11, OPT_FLAGS_OCTET = 7 };
enum { TYPE_OPT = 41, TYPE_DS = 43, TYPE_ANY = 255, TYPES = 258, NAME_OCTETS_MAX = 255, TURNS = 4096 };
enum { HAND_UP = -1, DROP = 0 };

/* One prepared answer, as table_layout.ANSWER has it; pointers, labels to avoid and the body follow. */
struct __attribute__((packed)) record {
    uint16_t type, octets, body_octets, total_octets, required_octets, flags, counts[3];
    uint32_t cell;
    uint16_t serial_at, turn_at;
    uint8_t stride, turned, pointers, options;
};

/* One zone of the list, as table_layout.ZONE_HEAD has it; its apex and its templates follow. */
struct __attribute__((packed)) zone {
    uint32_t number, cell;
    uint8_t is_served, apex_octets;
    uint16_t flags[2]; /* of NODATA and of NXDOMAIN */
    uint8_t templates, apex[];
};

/* A block with the answers of one name; the name and its four octets of head follow. */
struct __attribute__((packed)) node {
    uint32_t block_octets, zone;
    uint8_t name_octets, name[];
};

struct network {
    uint8_t octets[16], length, bits;
};

/* The headers and buffers of one socket are answerer_batch.py's; a reply's header differs in its length only. */
struct batch {
    struct mmsghdr *received;
    const struct mmsghdr *replies;
    uint64_t began_ns;
    int32_t fd, forgets_interface, left_count;
    uint8_t left[BATCH]; /* numbers of the messages that are handed up */
};

/* What native.py says of the table, of clients, and of where to count; nothing here changes within a call but the turns. */
struct reader {
    const uint8_t *table;
    uint64_t *line;
    const uint32_t *zones; /* places in the list, by the hash of their apex, open addressing; 0: there is none */
    uint64_t zones_word;
    uint64_t *accounts; /* NULL: answers are not limited */
    const struct network *exempt, *forward;
    uint64_t modulus, multiplier, limit;
    uint32_t zones_mask, rows, row, slip, exempt_count, forward_count;
    uint16_t payload_octets, refusal_flags;
    uint8_t ipv4_prefix, ipv6_prefix, is_ready, opt_octets, refusal_opt_octets;
    uint8_t opt[255], refusal_opt[255];
    uint8_t is_apex_length[NAME_OCTETS_MAX + 1];
    uint8_t type_places[TYPES]; /* the first is for all types that are not counted by themselves */
    uint16_t turns[TURNS];
    uint32_t crc_table[4][256]; /* of an octet that stands before so many others */
};

struct question {
    uint8_t name[NAME_OCTETS_MAX + 1]; /* in lower case */
    int octets, labels, end;           /* `end` is the octet behind the question */
    uint8_t starts[129];               /* where each label starts, the root last */
    uint16_t type;
    int limit_octets;
    bool has_opt, wants_dnssec;
};

struct answer {
    const struct record *record; /* NULL: refused */
    uint16_t flags;
    int shift; /* by how much the question is longer than the one the record was made for */
    const uint8_t *source;
    int source_octets;
};

static uint16_t read16(const uint8_t *at) { return (uint16_t)(at[0] | at[1] << 8); }

static void write16(uint8_t *at, uint32_t value) { at[0] = (uint8_t)(value >> 8), at[1] = (uint8_t)value; }

static uint64_t word_of(const struct reader *r, uint64_t number)
{
    return __atomic_load_n((const uint64_t *)(const void *)r->table + number, __ATOMIC_ACQUIRE);
}

static void count(struct reader *r, int place, uint64_t more)
{
    __atomic_store_n(r->line + place, r->line[place] + more, __ATOMIC_RELAXED);
}

static uint32_t crc32_of(const struct reader *r, uint32_t crc, const uint8_t *data, int octets)
{
    const uint32_t (*table)[256] = r->crc_table;
    for (; octets >= 4; octets -= 4, data += 4) {
        uint32_t word;
        memcpy(&word, data, 4);
        crc ^= word;
        crc = table[3][crc & 255] ^ table[2][crc >> 8 & 255] ^ table[1][crc >> 16 & 255] ^ table[0][crc >> 24];
    }
    while (octets--) crc = table[0][(crc ^ *data++) & 255] ^ crc >> 8;
    return crc;
}

/* --- names ---------------------------------------------------------------------------------------------------- */

static bool ends_with(const struct question *q, const uint8_t *suffix, int octets)
{
    int start = q->octets - octets;
    if (start < 0 || memcmp(q->name + start, suffix, (size_t)octets)) return false;
    for (int label = 0; label <= q->labels; label++)
        if (q->starts[label] == start) return true;
    return false;
}

/* Read a query with one question and no more than a bare OPT record; say no to everything else. */
static bool read_question(const struct reader *r, const uint8_t *packet, int octets, struct question *q)
{
    static const uint8_t plain[8] = {0, 1}, with_opt[8] = {0, 1, 0, 0, 0, 0, 0, 1};
    q->has_opt = !memcmp(packet + 4, with_opt, 8);
    if (!q->has_opt && memcmp(packet + 4, plain, 8)) return false;
    q->end = octets - (q->has_opt ? OPT_OCTETS : 0);
    if (q->end < HEADER_OCTETS + 5) return false;
    q->wants_dnssec = false;
    q->limit_octets = 512;
    if (q->has_opt) {
        const uint8_t *opt = packet + q->end;
        if (opt[0] || opt[1] || opt[2] != TYPE_OPT || opt[6] || opt[9] || opt[10]) return false;
        int asked = opt[3] << 8 | opt[4];
        if (asked > r->payload_octets) asked = r->payload_octets;
        if (asked > q->limit_octets) q->limit_octets = asked;
        q->wants_dnssec = opt[OPT_FLAGS_OCTET] & 0x80;
    }
    q->octets = q->end - 4 - HEADER_OCTETS;
    if (q->octets > NAME_OCTETS_MAX || packet[q->end - 2] || packet[q->end - 1] != 1) return false;
    int next = 0;
    q->labels = -1; /* the root is none */
    for (int i = 0; i < q->octets; i++) {
        uint8_t octet = packet[HEADER_OCTETS + i];
        if (i == next) {
            if (octet > 63 || (octet == 0) != (i == q->octets - 1)) return false;
            next += 1 + octet;
            q->starts[++q->labels] = (uint8_t)i;
        }
        q->name[i] = octet >= 'A' && octet <= 'Z' ? octet | 32 : octet;
    }
    q->type = (uint16_t)(packet[q->end - 4] << 8 | packet[q->end - 3]);
    return next == q->octets && q->starts[q->labels] == q->octets - 1;
}

/* --- walking -------------------------------------------------------------------------------------------------- */

static const struct node *find(const struct reader *r, const struct zone *zone, const uint8_t *name, int octets)
{
    uint8_t head[5], length = (uint8_t)octets;
    memcpy(head, &zone->number, 4);
    head[4] = length;
    uint32_t hash = ~crc32_of(r, crc32_of(r, ~0u, head, 5), name, octets);
    uint64_t slots = word_of(r, WORD_SLOTS), word;
    uint64_t mask = (1ull << (slots >> 56)) - 1, base = (slots & 0xFFFFFFFFFFFFFFull) >> 3;
    for (uint64_t at = hash & mask; (word = word_of(r, base + at)); at = (at + 1) & mask) {
        if (word >> 32 != hash || !(uint32_t)word) continue;
        const struct node *node = (const struct node *)(r->table + ((word & 0xFFFFFFFFu) << 4));
        if (node->zone == zone->number && node->name_octets == length && !memcmp(node->name, name, length)) return node;
    }
    return NULL;
}

/* Return the longest zone that holds the name. */
static const struct zone *zone_of(const struct reader *r, const struct question *q)
{
    const uint8_t *list = r->table + r->zones_word;
    for (int label = 0; label <= q->labels; label++) {
        int octets = q->octets - q->starts[label];
        const uint8_t *name = q->name + q->starts[label];
        if (!r->is_apex_length[octets]) continue;
        for (uint32_t at = ~crc32_of(r, ~0u, name, octets) & r->zones_mask; r->zones[at]; at = (at + 1) & r->zones_mask) {
            const struct zone *zone = (const struct zone *)(list + r->zones[at]);
            if (zone->apex_octets == octets && !memcmp(zone->apex, name, (size_t)octets)) return zone;
        }
    }
    return NULL;
}

/* Choose the template whose end is the longest that the name has in common with it. */
static bool from_template(const struct question *q, const uint8_t *at, int templates, struct answer *answer)
{
    int most = 0;
    for (; templates; templates--) {
        int octets = at[0];
        const struct record *record = (const struct record *)(at + 1 + octets);
        if (octets > most && ends_with(q, at + 1, octets)) {
            most = octets;
            answer->record = record;
            answer->shift = q->octets - octets;
            answer->flags = record->flags;
        }
        at = (const uint8_t *)record + record->octets;
    }
    return most > 0;
}

static bool deny(const struct question *q, const struct zone *zone, int kind, struct answer *answer)
{
    if (!from_template(q, zone->apex + zone->apex_octets, zone->templates, answer)) return false;
    answer->flags = zone->flags[kind];
    answer->source = zone->apex;
    answer->source_octets = zone->apex_octets;
    return true;
}

/* Say whether the label below the encloser is among those that compression would have met. */
static bool is_avoided(const struct record *record, const uint8_t *label)
{
    const uint8_t *at = (const uint8_t *)(record + 1) + 2 * record->pointers;
    for (; *at; at += 1 + *at)
        if (*at == *label && !memcmp(at + 1, label + 1, *at)) return true;
    return false;
}

/* Take a node's answer for the type; `child` is the label below the encloser where a wildcard answers, else NULL. */
static bool take(const struct reader *r, const struct question *q, const struct zone *zone, const struct node *node,
                 const uint8_t *child, uint64_t now_ms, struct answer *answer)
{
    const uint8_t *head = node->name + node->name_octets, *at = head + 4;
    const struct record *record = NULL;
    for (int number = 0; number < head[2] && !answer->record; number++) {
        const struct record *each = (const struct record *)at;
        if (each->type == q->type || (number == head[1] && q->type == TYPE_ANY)) answer->record = each;
        if (!each->type) record = each; /* for all types without an entry of their own */
        at += each->octets;
    }
    if (!answer->record && q->type == TYPE_ANY && head[2]) return false;
    if (!answer->record && !record) return deny(q, zone, 0, answer);
    if (!answer->record) answer->record = record;
    if (child && is_avoided(answer->record, child)) return false;
    answer->flags = answer->record->flags;
    answer->shift = q->octets - node->name_octets;
    answer->source = child ? node->name : q->name;
    answer->source_octets = child ? node->name_octets : q->octets;
    return !(head[0] & NODE_LEASED) || word_of(r, WORD_LEASES) > now_ms;
}

static bool refer(const struct question *q, const struct node *cut, struct answer *answer)
{
    const uint8_t *head = cut->name + cut->name_octets, *at = head + 4;
    if (head[0] & NODE_LEASED) return false;
    for (int entries = head[2]; entries; entries--) at += read16(at + 2);
    answer->source = cut->name;
    answer->source_octets = cut->name_octets;
    return from_template(q, at, head[3], answer);
}

/* Answer from the wildcard of the closest encloser, where there is one (RFC 4592 section 3.3). */
static bool expand(const struct reader *r, const struct question *q, const struct zone *zone, int encloser,
                   uint64_t now_ms, struct answer *answer)
{
    uint8_t wildcard[NAME_OCTETS_MAX + 2] = {1, '*'};
    int octets = q->octets - q->starts[encloser];
    if (octets + 2 > NAME_OCTETS_MAX) return deny(q, zone, 1, answer);
    memcpy(wildcard + 2, q->name + q->starts[encloser], (size_t)octets);
    const struct node *node = find(r, zone, wildcard, octets + 2);
    if (!node) return deny(q, zone, 1, answer);
    if (node->name[node->name_octets]) return false;
    return take(r, q, zone, node, q->name + q->starts[encloser - 1], now_ms, answer);
}

/* Find the node of the name and the topmost cut above it; say no where the Python reader must be asked. */
static bool search(const struct reader *r, const struct question *q, const struct zone *zone, uint64_t now_ms,
                   struct answer *answer)
{
    const struct node *found = NULL, *stop = NULL;
    bool is_cut = false;
    int encloser = -1, label = 0;
    for (; q->octets - q->starts[label] > zone->apex_octets; label++) {
        const struct node *node = find(r, zone, q->name + q->starts[label], q->octets - q->starts[label]);
        if (!node) continue;
        if (encloser < 0) encloser = label, found = node;
        uint8_t flags = node->name[node->name_octets];
        if (flags & NODE_CUT) stop = node, is_cut = true;
        else if (flags & NODE_DNAME && label) stop = node, is_cut = false;
    }
    if (stop) return is_cut && refer(q, stop, answer);
    if (label == 0) found = find(r, zone, q->name, q->octets), encloser = 0;
    if (encloser == 0) return found && take(r, q, zone, found, NULL, now_ms, answer);
    return expand(r, q, zone, encloser < 0 ? label : encloser, now_ms, answer);
}

/* --- clients -------------------------------------------------------------------------------------------------- */

static bool is_within(const uint8_t *address, int octets, const struct network *networks, uint32_t how_many)
{
    for (; how_many; how_many--, networks++) {
        int whole = networks->bits / 8, rest = networks->bits % 8;
        if (networks->length != octets || memcmp(address, networks->octets, (size_t)whole)) continue;
        if (!rest || (address[whole] ^ networks->octets[whole]) >> (8 - rest) == 0) return true;
    }
    return false;
}

/* Count an answer to a network; return 1 to send it, 0 to drop it, 2 to cut it. */
static int judge(struct reader *r, const uint8_t *address, int octets, const struct answer *answer, uint64_t second)
{
    if (!r->accounts || is_within(address, octets, r->exempt, r->exempt_count)) return 1;
    int prefix = octets == 4 ? r->ipv4_prefix : r->ipv6_prefix;
    uint64_t hash = 0, total = 0; /* the octets as one number, modulo a secret one; the highest bits choose the place */
    for (int i = 0; i < octets; i++)
        hash = (hash << 8 | (i < prefix / 8 ? address[i] : i > prefix / 8 ? 0 : address[i] & 0xFF00 >> prefix % 8 & 255)) % r->modulus;
    hash = (hash << 8 | (answer->flags & 15)) % r->modulus;
    for (int i = 0; i < answer->source_octets; i++) hash = (hash << 8 | answer->source[i]) % r->modulus;
    uint64_t *places = r->accounts + (hash * r->multiplier >> 48) * r->rows;
    uint64_t own = __atomic_load_n(places + r->row, __ATOMIC_RELAXED);
    uint64_t mine = own >> 32 == second ? (uint32_t)own + (uint64_t)((uint32_t)own < UINT32_MAX) : 1;
    __atomic_store_n(places + r->row, second << 32 | mine, __ATOMIC_RELAXED);
    for (uint32_t row = 0; row < r->rows; row++) {
        uint64_t each = __atomic_load_n(places + row, __ATOMIC_RELAXED);
        if (each >> 32 == second) total += (uint32_t)each;
    }
    if (total <= r->limit) return 1;
    return r->slip && mine % r->slip == 0 ? 2 : 0;
}

/* --- answering ------------------------------------------------------------------------------------------------ */

/* Write a record's body behind the question: pointers moved, the serial of now, address records in turn. */
static void copy_body(struct reader *r, const struct answer *answer, uint8_t *out)
{
    const struct record *record = answer->record;
    const uint8_t *pointers = (const uint8_t *)(record + 1), *body = (const uint8_t *)record + record->octets - record->body_octets;
    memcpy(out, body, record->body_octets);
    for (int i = 0; i < (answer->shift ? record->pointers : 0); i++) {
        int place = read16(pointers + 2 * i);
        write16(out + place, (uint32_t)((out[place] << 8 | out[place + 1]) + answer->shift));
    }
    if (record->cell && record->body_octets) {
        uint32_t serial = (uint32_t)word_of(r, record->cell);
        write16(out + record->serial_at, serial >> 16);
        write16(out + record->serial_at + 2, serial);
    }
    if (record->turned < 2) return;
    unsigned first = r->turns[((uintptr_t)record >> 4) % TURNS]++ % record->turned;
    for (unsigned i = 0; i < record->turned; i++)
        memcpy(out + record->turn_at + record->stride * i,
               body + record->turn_at + record->stride * ((first + i) % record->turned), record->stride - 12u);
}

/* Find the answer; say no where the Python reader must be asked. */
static bool resolve(const struct reader *r, const struct question *q, uint64_t now_ms, struct answer *answer)
{
    /* no data of a zone, and DS, which another zone may answer than that of the name */
    if (!q->type || q->type == TYPE_OPT || q->type == TYPE_DS || (q->type >= 128 && q->type < 255)) return false;
    const struct zone *zone = zone_of(r, q);
    memset(answer, 0, sizeof *answer);
    /* a zone that was rebuilt meanwhile loses its names under the number that this reader knows */
    if (zone) return zone->is_served && search(r, q, zone, now_ms, answer) && word_of(r, WORD_ZONES) == r->zones_word;
    answer->flags = r->refusal_flags;
    answer->source = (const uint8_t *)"";
    answer->source_octets = 1;
    return !r->forward_count;
}

/* Answer a packet; `out` may be `packet` itself and has room for PACKET_OCTETS_MAX. Return the octets written. */
static int respond(struct reader *r, const uint8_t *packet, int octets, const uint8_t *address, int address_octets,
                   uint64_t now_ms, uint8_t *out)
{
    struct question q;
    struct answer answer;
    if (octets >= PACKET_OCTETS_MAX) return count(r, COUNT_OVERSIZED, 1), DROP;
    if (octets < HEADER_OCTETS) return count(r, COUNT_SHORT, 1), DROP;
    if (packet[2] & 0x80) return count(r, COUNT_ANSWER, 1), DROP;
    if (packet[2] & 0x78 || !r->is_ready || !read_question(r, packet, octets, &q)) return HAND_UP;
    if (!resolve(r, &q, now_ms, &answer)) return HAND_UP;
    const struct record *record = answer.record;
    if (record && q.wants_dnssec && record->options & DNSSEC_DIFFERS) return HAND_UP;
    const uint8_t *opt = record ? r->opt : r->refusal_opt;
    int opt_octets = !q.has_opt ? 0 : record ? r->opt_octets : r->refusal_opt_octets;
    int room = q.limit_octets - opt_octets - q.end;
    bool is_cut = record && record->required_octets > room;
    if (record && !is_cut && (record->total_octets > room || record->body_octets != record->total_octets)) return HAND_UP;
    if (address_octets == 16 && !memcmp(address, "\0\0\0\0\0\0\0\0\0\0\xff\xff", 12)) address += 12, address_octets = 4;
    int rcode = answer.flags & 15;
    count(r, r->type_places[q.type < TYPES ? q.type : 0] * 8 + (rcode < 7 ? rcode : 7), 1);
    count(r, COUNT_NATIVE, 1);
    int verdict = judge(r, address, address_octets, &answer, now_ms / 1000);
    if (verdict == 0) return count(r, COUNT_LIMITED, 1), DROP;
    uint32_t flags = answer.flags | (is_cut ? 0x0200u : 0);
    if (verdict == 2) {
        count(r, COUNT_CUT, 1);
        is_cut = true;
        flags = 0x8200;
        opt = r->opt;
        opt_octets = q.has_opt ? r->opt_octets : 0;
    }
    if (is_within(address, address_octets, r->forward, r->forward_count)) flags |= 0x0080;
    flags |= (packet[2] & 1u) << 8 | (packet[3] & 0x10u);
    if (out != packet) memcpy(out, packet, (size_t)q.end);
    bool is_full = record && !is_cut;
    write16(out + 2, flags);
    write16(out + 4, 1);
    for (int i = 0; i < 3; i++) write16(out + 6 + 2 * i, (is_full ? record->counts[i] : 0u) + (i == 2 && q.has_opt));
    if (is_full) copy_body(r, &answer, out + q.end);
    int length = q.end + (is_full ? record->body_octets : 0);
    memcpy(out + length, opt, (size_t)opt_octets);
    if (q.wants_dnssec) out[length + OPT_FLAGS_OCTET] |= 0x80;
    return length + opt_octets;
}

static uint64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* --- sockets -------------------------------------------------------------------------------------------------- */

/* Answer up to a batch of what has arrived; return how many datagrams that was. */
static int serve(struct reader *r, struct batch *batch)
{
    struct mmsghdr sent[BATCH], *received = batch->received;
    const struct mmsghdr *replies = batch->replies;
    int answers = 0, done = 0;
    batch->left_count = 0;
    for (int i = 0; i < BATCH; i++) {
        received[i].msg_hdr.msg_namelen = replies[i].msg_hdr.msg_namelen;
        received[i].msg_hdr.msg_controllen = replies[i].msg_hdr.msg_controllen;
        received[i].msg_hdr.msg_flags = 0;
    }
    int messages = recvmmsg(batch->fd, received, BATCH, MSG_DONTWAIT, NULL);
    if (messages <= 0) return 0;
    uint64_t began = batch->began_ns = now_ns();
    for (int i = 0; i < messages; i++) {
        const struct msghdr *reply = &replies[i].msg_hdr;
        const struct sockaddr_in *ipv4 = reply->msg_name;
        const struct sockaddr_in6 *ipv6 = reply->msg_name;
        const uint8_t *address = ipv4->sin_family == AF_INET ? (const uint8_t *)&ipv4->sin_addr : ipv6->sin6_addr.s6_addr;
        int octets = respond(r, reply->msg_iov->iov_base, (int)received[i].msg_len, address,
                             ipv4->sin_family == AF_INET ? 4 : 16, began / 1000000, reply->msg_iov->iov_base);
        if (octets == HAND_UP) batch->left[batch->left_count++] = (uint8_t)i;
        if (octets <= 0) continue;
        if (batch->forgets_interface) ((struct in_pktinfo *)CMSG_DATA((struct cmsghdr *)reply->msg_control))->ipi_ifindex = 0;
        reply->msg_iov->iov_len = (size_t)octets;
        sent[answers++].msg_hdr = *reply;
    }
    while (done < answers) {
        int taken = sendmmsg(batch->fd, sent + done, (unsigned)(answers - done), MSG_DONTWAIT);
        if (taken <= 0 && errno == EINTR) continue;
        if (taken <= 0) count(r, COUNT_UNSENT, 1), taken = 1; /* one that the kernel refuses is given up */
        done += taken;
    }
    if (batch->left_count) return messages; /* who answers the rest notes how long it took */
    count(r, COUNT_BATCHES, 1);
    uint64_t microseconds = (now_ns() - began) / 1000;
    int bucket = microseconds ? 64 - __builtin_clzll(microseconds) : 0;
    count(r, TIMES + (bucket < TIME_BUCKETS ? bucket : TIME_BUCKETS - 1), (uint64_t)messages);
    return messages;
}

/* --- what native.py calls ------------------------------------------------------------------------------------- */

int native_format(void) { return TABLE_FORMAT; }

size_t native_octets(void) { return sizeof(struct reader); }

const char *native_source(void) { return SOURCE; }

/* Answer one packet apart from any socket. Return the octets of the answer, DROP or HAND_UP. */
int native_answer(struct reader *r, const uint8_t *packet, int octets, const uint8_t *address, int address_octets, uint8_t *out)
{
    return respond(r, packet, octets, address, address_octets, now_ns() / 1000000, out);
}

/*
 * Answer batches as long as whole ones wait, nothing is left to Python, and it need not look at notices beyond the
 * number that it has seen: its turn costs more than a batch's answers. Return how many datagrams were read.
 */
int native_serve(struct reader *r, struct batch *batch, int batches, uint64_t noticed)
{
    int messages, total = 0;
    __atomic_thread_fence(__ATOMIC_SEQ_CST); /* this process is seen in its epoch before it looks at the table */
    do {
        messages = serve(r, batch);
        total += messages;
    } while (messages == BATCH && !batch->left_count && --batches > 0 && word_of(r, WORD_NOTICES) == noticed);
    return total;
}
