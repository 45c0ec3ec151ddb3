/* The least that does a lab's work: only the libvirt calls that it takes, nothing compared, recorded, or checked beforehand.
 *
 *   minimal THREADS DIR GUESTS VERB [MEMORY OLD-IP NEW-IP]
 *
 * DIR holds the lab of scripts/bench as `miniascape generate` compiles it: the same definitions, byte for byte. VERB:
 *
 *   read     one list a kind, the inactive XML of every guest, network and pool, volumes by list, power states by one call
 *   create   everything from nothing
 *   change   memory of guest g0 to MEMORY KiB, and its address from OLD-IP to NEW-IP: reservation and DNS name
 *   destroy  everything away, volumes and the pool's directory included
 *   start    starts the guests
 *   stop     asks the guests to shut down, each of a thread's after the one before is off
 *
 * libvirt checks nothing against its schema, which takes it longer than anything else about a guest's definition. One connection
 * serves all threads. Ends with 1 at the first thing that fails. */
#include <libvirt/libvirt.h>
#include <libvirt/virterror.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PER_NETWORK 25
#define POOL "bench"

static virConnectPtr connection;
static const char *dir;
static int guests, networks, threads;

static void fail(const char *what)
{
    const char *why = virGetLastErrorMessage();
    fprintf(stderr, "minimal: %s: %s\n", what, why ? why : "?");
    exit(1);
}

#define CHECK(call) do { if ((call) < 0) fail(#call); } while (0)

static void *must(void *pointer, const char *what)
{
    if (!pointer) fail(what);
    return pointer;
}
#define MUST(call) must((call), #call)

/* A file of the compiled lab; whoever asks frees it. */
static char *text(const char *format, int number)
{
    char path[4096], name[256];
    snprintf(name, sizeof name, format, number);
    snprintf(path, sizeof path, "%s/%s", dir, name);
    FILE *file = fopen(path, "r");
    if (!file) { perror(path); exit(1); }
    fseek(file, 0, SEEK_END);
    long size = ftell(file);
    rewind(file);
    char *bytes = malloc((size_t)size + 1);
    if (!bytes || fread(bytes, 1, (size_t)size, file) != (size_t)size) { perror(path); exit(1); }
    bytes[size] = '\0';
    fclose(file);
    return bytes;
}

/* Work that threads take item by item. */
struct work {
    void (*item)(int);
    int next, end;
};

static void *take(void *pointer)
{
    struct work *work = pointer;
    int at;
    while ((at = __atomic_fetch_add(&work->next, 1, __ATOMIC_RELAXED)) < work->end) work->item(at);
    return NULL;
}

/* Does item(0) to item(count - 1) on the threads, and `apart`, if there is one, beside them first. */
static void each(int count, void (*item)(int), void (*apart)(void))
{
    struct work work = {item, 0, count};
    pthread_t others[64];
    int started = 0;
    for (; started < threads - 1; started++)
        if (pthread_create(&others[started], NULL, take, &work)) exit(1);
    if (apart) apart();
    take(&work);
    for (int at = 0; at < started; at++) pthread_join(others[at], NULL);
}

static virDomainPtr *domains;
static virNetworkPtr *nets;
static virStoragePoolPtr *pools;

static void read_domain(int at)
{
    free(MUST(virDomainGetXMLDesc(domains[at], VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE)));
}

static void read_network(int at)
{
    free(MUST(virNetworkGetXMLDesc(nets[at], VIR_NETWORK_XML_INACTIVE)));
}

static void read_all(void)
{
    int count;
    virStorageVolPtr *volumes;
    virDomainStatsRecordPtr *states;
    CHECK(virConnectGetAllDomainStats(connection, VIR_DOMAIN_STATS_STATE, &states, 0));
    CHECK(count = virConnectListAllNetworks(connection, &nets, 0));
    each(count, read_network, NULL);
    CHECK(count = virConnectListAllStoragePools(connection, &pools, 0));
    for (int at = 0; at < count; at++) {
        free(MUST(virStoragePoolGetXMLDesc(pools[at], VIR_STORAGE_XML_INACTIVE)));
        CHECK(virStoragePoolListAllVolumes(pools[at], &volumes, 0));
    }
    CHECK(count = virConnectListAllDomains(connection, &domains, 0));
    each(count, read_domain, NULL);
}

static virStoragePoolPtr pool;

static void create_networks(void)
{
    for (int at = 0; at < networks; at++) {
        char *xml = text("host/networks/net%d.xml", at);
        virNetworkPtr network = MUST(virNetworkDefineXMLFlags(connection, xml, 0));
        CHECK(virNetworkCreate(network));
        CHECK(virNetworkSetAutostart(network, 1));
        virNetworkFree(network);
        free(xml);
    }
}

static void create_guest(int at)
{
    char *volume_xml = text("g%d/volumes/root.xml", at), *xml = text("g%d/domain.xml", at);
    virStorageVolFree(MUST(virStorageVolCreateXML(pool, volume_xml, 0)));
    virDomainFree(MUST(virDomainDefineXMLFlags(connection, xml, 0)));
    free(volume_xml);
    free(xml);
}

static int source(virStreamPtr stream, char *data, size_t count, void *file)
{
    (void)stream;
    return (int)fread(data, 1, count, file);
}

static void create_image(void)
{
    char path[4096], *xml = text("g0/images/base.xml", 0);
    snprintf(path, sizeof path, "%s/../base.qcow2", dir);
    FILE *file = fopen(path, "r");
    if (!file) { perror(path); exit(1); }
    virStorageVolPtr volume = MUST(virStorageVolCreateXML(pool, xml, 0));
    virStreamPtr stream = MUST(virStreamNew(connection, 0));
    CHECK(virStorageVolUpload(volume, stream, 0, 0, 0));
    CHECK(virStreamSendAll(stream, source, file));
    CHECK(virStreamFinish(stream));
    virStreamFree(stream);
    virStorageVolFree(volume);
    free(xml);
    fclose(file);
}

static void create(void)
{
    char *xml = text("host/pools/bench.xml", 0);
    pool = MUST(virStoragePoolDefineXML(connection, xml, 0));
    free(xml);
    CHECK(virStoragePoolBuild(pool, VIR_STORAGE_POOL_BUILD_NEW));
    CHECK(virStoragePoolCreate(pool, 0));
    CHECK(virStoragePoolSetAutostart(pool, 1));
    create_image();
    each(guests, create_guest, create_networks);
}

static const char *memory, *old_ip, *new_ip;

/* Puts a number in the place of an element's. */
static char *with_number(const char *xml, const char *element, const char *number)
{
    char *out = malloc(strlen(xml) + 64), start[64];
    snprintf(start, sizeof start, "<%s unit='KiB'>", element);
    const char *at = strstr(xml, start);
    if (!out || !at) { fprintf(stderr, "minimal: no <%s>\n", element); exit(1); }
    at += strlen(start);
    sprintf(out, "%.*s%s%s", (int)(at - xml), xml, number, strchr(at, '<'));
    return out;
}

static void change_guest(void)
{
    virDomainPtr guest = MUST(virDomainLookupByName(connection, "g0"));
    char *xml = MUST(virDomainGetXMLDesc(guest, VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE));
    char *once = with_number(xml, "memory", memory), *twice = with_number(once, "currentMemory", memory);
    virDomainFree(MUST(virDomainDefineXMLFlags(connection, twice, 0)));
    virDomainFree(guest);
}

static void change_network(int at)
{
    char host[256];
    char mac[32], *xml;
    unsigned flags = VIR_NETWORK_UPDATE_AFFECT_LIVE | VIR_NETWORK_UPDATE_AFFECT_CONFIG;
    (void)at;
    virNetworkPtr network = MUST(virNetworkLookupByName(connection, "net0"));
    xml = MUST(virNetworkGetXMLDesc(network, VIR_NETWORK_XML_INACTIVE));
    char *ip = strstr(xml, "<host mac=");
    while (ip && strncmp(strstr(ip, "ip='") + 4, old_ip, strlen(old_ip))) ip = strstr(ip + 1, "<host mac=");
    if (!ip) { fprintf(stderr, "minimal: no reservation of %s\n", old_ip); exit(1); }
    snprintf(mac, sizeof mac, "%.17s", ip + strlen("<host mac='"));
    snprintf(host, sizeof host, "<host ip='%s'/>", old_ip);
    CHECK(virNetworkUpdate(network, VIR_NETWORK_UPDATE_COMMAND_DELETE, VIR_NETWORK_SECTION_DNS_HOST, -1, host, flags));
    snprintf(host, sizeof host, "<host mac='%s' name='g0' ip='%s'/>", mac, new_ip);
    CHECK(virNetworkUpdate(network, VIR_NETWORK_UPDATE_COMMAND_MODIFY, VIR_NETWORK_SECTION_IP_DHCP_HOST, -1, host, flags));
    snprintf(host, sizeof host, "<host ip='%s'><hostname>g0</hostname></host>", new_ip);
    CHECK(virNetworkUpdate(network, VIR_NETWORK_UPDATE_COMMAND_ADD_LAST, VIR_NETWORK_SECTION_DNS_HOST, -1, host, flags));
    virNetworkFree(network);
}

static void change(void)
{
    each(1, change_network, change_guest);
}

static void destroy_networks(void)
{
    for (int at = 0; at < networks; at++) {
        char name[64];
        snprintf(name, sizeof name, "net%d", at);
        virNetworkPtr network = MUST(virNetworkLookupByName(connection, name));
        CHECK(virNetworkDestroy(network));
        CHECK(virNetworkUndefine(network));
        virNetworkFree(network);
    }
}

static virDomainPtr guest_of(int at)
{
    char name[64];
    snprintf(name, sizeof name, "g%d", at);
    return MUST(virDomainLookupByName(connection, name));
}

static void destroy_guest(int at)
{
    char name[64];
    virDomainPtr guest = guest_of(at);
    CHECK(virDomainUndefineFlags(guest, VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA |
                                            VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA | VIR_DOMAIN_UNDEFINE_NVRAM |
                                            VIR_DOMAIN_UNDEFINE_TPM));
    virDomainFree(guest);
    snprintf(name, sizeof name, "g%d.root.qcow2", at);
    virStorageVolPtr volume = MUST(virStorageVolLookupByName(pool, name));
    CHECK(virStorageVolDelete(volume, 0));
    virStorageVolFree(volume);
}

static void destroy(void)
{
    pool = MUST(virStoragePoolLookupByName(connection, POOL));
    each(guests, destroy_guest, destroy_networks);
    CHECK(virStorageVolDelete(MUST(virStorageVolLookupByName(pool, "base.qcow2")), 0));
    CHECK(virStoragePoolDestroy(pool));
    CHECK(virStoragePoolDelete(pool, 0));
    CHECK(virStoragePoolUndefine(pool));
}

static void start_guest(int at)
{
    virDomainPtr guest = guest_of(at);
    CHECK(virDomainCreate(guest));
    virDomainFree(guest);
}

static void stop_guest(int at)
{
    virDomainPtr guest = guest_of(at);
    int state = VIR_DOMAIN_RUNNING, reason, looks = 0;
    CHECK(virDomainShutdown(guest));
    while (state != VIR_DOMAIN_SHUTOFF) {
        if (looks++ == 12000) { fprintf(stderr, "minimal: g%d does not stop\n", at); exit(1); }
        usleep(10000);
        CHECK(virDomainGetState(guest, &state, &reason, 0));
    }
    virDomainFree(guest);
}

static void silent(void *data, virErrorPtr error) { (void)data; (void)error; }

int main(int count, char **arguments)
{
    if (count < 5) { fprintf(stderr, "usage: minimal THREADS DIR GUESTS VERB [MEMORY OLD-IP NEW-IP]\n"); return 1; }
    threads = atoi(arguments[1]);
    dir = arguments[2];
    guests = atoi(arguments[3]);
    networks = (guests + PER_NETWORK - 1) / PER_NETWORK;
    if (threads < 1 || threads > 64) return 1;
    const char *verb = arguments[4];
    virSetErrorFunc(NULL, silent);
    connection = MUST(virConnectOpen("qemu:///system"));
    if (!strcmp(verb, "read")) read_all();
    else if (!strcmp(verb, "create")) create();
    else if (!strcmp(verb, "change") && count == 8) {
        memory = arguments[5];
        old_ip = arguments[6];
        new_ip = arguments[7];
        change();
    } else if (!strcmp(verb, "destroy")) destroy();
    else if (!strcmp(verb, "start")) each(guests, start_guest, NULL);
    else if (!strcmp(verb, "stop")) each(guests, stop_guest, NULL);
    else return 1;
    virConnectClose(connection);
    return 0;
}
