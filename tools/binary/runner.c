/* The first part of the single-file program. The rest of the file is a payload: the program as a
 * directory (Python, PostgreSQL, the web client), a tar compressed with Zstandard.
 *
 * PostgreSQL needs its files on a disk, so the payload is unpacked, once: into a cache directory,
 * under a name that is the hash of the content. Every later start only executes what is there.
 * That name appears by rename(2) after all is written and synced, so that there is never half a
 * program, and two first starts at once do no harm.
 *
 * A running program holds a shared lock on the file .lock of its directory. A newer one removes
 * the directories of others that nobody holds.
 *
 * Linked statically: needs a kernel and nothing else. tools/binary/build.py puts the file together.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <zstd.h>

#define MAGIC "LSHARE01"
#define HASH_CHARS 32
#define BLOCK 512 /* of a tar */
#define FRESH ".new-"
#define PROGRAM "locshare"
#define WAITS 100 /* for a directory that another process is removing, 0.1 s each */

struct trailer { /* the last bytes of the file; little-endian */
    char magic[8];
    uint64_t payload_bytes;
    char hash[HASH_CHARS];
};

static struct {
    const unsigned char *at;
    size_t bytes;
    char hash[HASH_CHARS + 1];
} payload;

static char why_not[PATH_MAX + 200]; /* why the first directory that was tried is of no use */

static void complain(const char *format, const char *what, const char *why) {
    fprintf(stderr, PROGRAM ": ");
    fprintf(stderr, format, what, why);
    fputc('\n', stderr);
}

/* --- this file ------------------------------------------------------------------------------ */

static bool find_payload(void) {
    int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
    if (file < 0) { /* no /proc: what the kernel was asked to execute */
        file = open((const char *)getauxval(AT_EXECFN), O_RDONLY | O_CLOEXEC);
    }
    struct stat status;
    struct trailer end;
    if (file < 0 || fstat(file, &status) != 0) {
        complain("cannot read its own file%s: %s", "", strerror(errno));
        return false;
    }
    size_t size = (size_t)status.st_size;
    if (size < sizeof end ||
        pread(file, &end, sizeof end, status.st_size - (off_t)sizeof end) != sizeof end ||
        memcmp(end.magic, MAGIC, sizeof end.magic) != 0 ||
        end.payload_bytes > size - sizeof end) {
        complain("this file is not complete%s%s: copy or download it again", "", "");
        return false;
    }
    const unsigned char *whole = mmap(NULL, size, PROT_READ, MAP_PRIVATE, file, 0);
    close(file);
    if (whole == MAP_FAILED) {
        complain("cannot read its own file%s: %s", "", strerror(errno));
        return false;
    }
    payload.at = whole + size - sizeof end - end.payload_bytes;
    payload.bytes = end.payload_bytes;
    memcpy(payload.hash, end.hash, HASH_CHARS);
    return true;
}

/* --- unpacking ------------------------------------------------------------------------------ */

struct stream {
    ZSTD_DStream *zstd;
    ZSTD_inBuffer in;
};

/* False, with errno, when the payload ends early or is damaged. */
static bool read_bytes(struct stream *from, void *into, size_t bytes) {
    ZSTD_outBuffer out = {into, bytes, 0};
    while (out.pos < out.size) {
        size_t before = out.pos, left = from->in.pos;
        size_t result = ZSTD_decompressStream(from->zstd, &out, &from->in);
        if (ZSTD_isError(result) || (out.pos == before && from->in.pos == left)) {
            errno = EBADMSG;
            return false;
        }
    }
    return true;
}

static bool write_bytes(int file, const char *bytes, size_t count) {
    while (count > 0) {
        ssize_t written = write(file, bytes, count);
        if (written < 0 && errno == EINTR) continue;
        if (written < 0) return false;
        bytes += written;
        count -= (size_t)written;
    }
    return true;
}

static bool unpack_file(struct stream *from, int folder, const char *name, mode_t mode,
                        size_t bytes) {
    static char buffer[64 * BLOCK];
    int file = openat(folder, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);
    if (file < 0) return false;
    bool good = true;
    while (good && bytes > 0) { /* with the filling of the last block */
        size_t part = bytes < sizeof buffer ? bytes : sizeof buffer;
        size_t filled = (part + BLOCK - 1) / BLOCK * BLOCK;
        good = read_bytes(from, buffer, filled) && write_bytes(file, buffer, part);
        bytes -= part;
    }
    int error = errno;
    if (close(file) != 0) return false;
    errno = error;
    return good;
}

/* Names are relative, and of our own making: payload.py writes plain ustar. */
static bool unpack(int folder) {
    struct stream from = {ZSTD_createDStream(), {payload.at, payload.bytes, 0}};
    char head[BLOCK];
    bool good = from.zstd != NULL;
    while (good && (good = read_bytes(&from, head, sizeof head)) && head[0] != '\0') {
        char name[256 + 1], link[100 + 1];
        if (head[345] != '\0') {
            snprintf(name, sizeof name, "%.155s/%.100s", head + 345, head);
        } else {
            snprintf(name, sizeof name, "%.100s", head);
        }
        snprintf(link, sizeof link, "%.100s", head + 157);
        mode_t mode = (mode_t)strtoul(head + 100, NULL, 8) & 0777;
        size_t bytes = strtoull(head + 124, NULL, 8);
        switch (head[156]) {
        case '0': good = unpack_file(&from, folder, name, mode, bytes); break;
        case '2': good = symlinkat(link, folder, name) == 0; break;
        case '5': good = mkdirat(folder, name, 0755) == 0; break;
        default: errno = EBADMSG; good = false;
        }
    }
    int error = errno;
    ZSTD_freeDStream(from.zstd);
    errno = error;
    return good;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk) {
    (void)status, (void)kind, (void)walk;
    return remove(path) != 0 && errno != ENOENT;
}

static void remove_tree(const char *path) {
    nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* The lock on folder/.lock, to be kept until the process ends, or -1. */
static int lock(const char *folder, int how) {
    char path[PATH_MAX];
    if (snprintf(path, sizeof path, "%s/.lock", folder) >= (int)sizeof path) return -1;
    int file = open(path, O_RDONLY); /* not O_CLOEXEC: it is held by the program */
    if (file >= 0 && flock(file, how | LOCK_NB) != 0) {
        close(file);
        return -1;
    }
    return file;
}

/* Unpack into a new directory beside `place`, and give it that name. */
static bool unpack_at(const char *parent, const char *place) {
    char fresh[PATH_MAX], marker[PATH_MAX + 8];
    mode_t mask = umask(022); /* as root PostgreSQL runs as another account, which must read it */
    if (snprintf(fresh, sizeof fresh, "%s/" FRESH "XXXXXX", parent) >= (int)sizeof fresh ||
        mkdtemp(fresh) == NULL) {
        umask(mask);
        return false;
    }
    snprintf(marker, sizeof marker, "%s/.lock", fresh);
    int held = open(marker, O_RDONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    int folder = open(fresh, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = held >= 0 && folder >= 0 && flock(held, LOCK_SH | LOCK_NB) == 0 &&
                fchmod(folder, 0755) == 0 && unpack(folder) && syncfs(folder) == 0;
    if (good && rename(fresh, place) != 0) {
        good = errno == EEXIST || errno == ENOTEMPTY; /* another first start was faster */
        if (good) remove_tree(fresh);
    }
    int error = errno;
    if (folder >= 0) close(folder);
    if (held >= 0) close(held);
    if (!good) remove_tree(fresh);
    umask(mask);
    errno = error;
    return good;
}

/* Remove what other versions, and first starts that were killed, have left, unless it is in use. */
static void remove_others(const char *parent) {
    DIR *listing = opendir(parent);
    if (listing == NULL) return;
    struct dirent *entry;
    while ((entry = readdir(listing)) != NULL) {
        const char *name = entry->d_name;
        bool is_version = strlen(name) == HASH_CHARS && strspn(name, "0123456789abcdef") == HASH_CHARS;
        bool is_fresh = strncmp(name, FRESH, strlen(FRESH)) == 0;
        char path[PATH_MAX];
        if ((!is_version && !is_fresh) || strcmp(name, payload.hash) == 0 ||
            snprintf(path, sizeof path, "%s/%s", parent, name) >= (int)sizeof path) {
            continue;
        }
        int held = lock(path, LOCK_EX);
        if (held >= 0) {
            remove_tree(path);
            close(held);
        }
    }
    closedir(listing);
}

/* --- the cache directory -------------------------------------------------------------------- */

static bool useless(const char *parent, const char *why) {
    if (why_not[0] == '\0') snprintf(why_not, sizeof why_not, "%s: %s", parent, why);
    return false;
}

static bool make_folders(const char *path) {
    char part[PATH_MAX];
    if (snprintf(part, sizeof part, "%s", path) >= (int)sizeof part) {
        errno = ENAMETOOLONG;
        return false;
    }
    for (char *slash = part + 1; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        if (mkdir(part, 0755) != 0 && access(part, F_OK) != 0) return false;
        *slash = '/';
    }
    return mkdir(part, 0755) == 0 || errno == EEXIST;
}

/* Nobody else may be able to put a program there for us to run. */
static bool is_ours(const char *parent) {
    struct stat status;
    struct statvfs files;
    if (stat(parent, &status) != 0) return useless(parent, strerror(errno));
    if (!S_ISDIR(status.st_mode)) return useless(parent, "is not a directory");
    if (status.st_uid != geteuid() && status.st_uid != 0) {
        return useless(parent, "belongs to another user");
    }
    if (status.st_mode & S_IWOTH) return useless(parent, "everyone may write there");
    if ((status.st_mode & S_IWGRP) && status.st_gid != getegid()) {
        return useless(parent, "another group may write there");
    }
    if (statvfs(parent, &files) == 0 && (files.f_flag & ST_NOEXEC)) {
        return useless(parent, "programs may not be run there (noexec)");
    }
    return true;
}

static void run(const char *place, char **argv) {
    char program[PATH_MAX + 16];
    snprintf(program, sizeof program, "%s/" PROGRAM, place);
    if (access(program, X_OK) != 0 || lock(place, LOCK_SH) < 0) return;
    /* PyInstaller's loader needs libz before it has said where its libraries are. */
    char libraries[PATH_MAX + 16], *given = getenv("LD_LIBRARY_PATH");
    if (given == NULL) given = "";
    /* An empty name after the colon would be the current directory. */
    snprintf(libraries, sizeof libraries, "%s/_internal%s%s", place, *given != '\0' ? ":" : "", given);
    setenv("LD_LIBRARY_PATH", libraries, 1);
    argv[0] = program;
    execv(program, argv);
    complain("cannot execute %s: %s", program, strerror(errno));
    exit(1);
}

/* Returns when `parent` is of no use. */
static void run_from(const char *parent, char **argv) {
    char place[PATH_MAX];
    if (parent == NULL || parent[0] != '/' ||
        snprintf(place, sizeof place, "%s/%s", parent, payload.hash) >= (int)sizeof place) {
        return;
    }
    if (!make_folders(parent)) {
        useless(parent, strerror(errno));
        return;
    }
    if (!is_ours(parent)) return;
    run(place, argv);
    for (int wait = 0; wait < WAITS; wait++) {
        if (!unpack_at(parent, place)) {
            useless(parent, errno == EBADMSG ? "the payload of this file is damaged" : strerror(errno));
            return;
        }
        remove_others(parent);
        run(place, argv);
        usleep(100 * 1000); /* a newer version is just removing it */
    }
}

static void run_from_below(const char *folder, const char *name, char **argv) {
    char parent[PATH_MAX];
    if (folder != NULL && folder[0] == '/' &&
        snprintf(parent, sizeof parent, "%s/%s", folder, name) < (int)sizeof parent) {
        run_from(parent, argv);
    }
}

/* From --data-dir or LOCSHARE_DATA_DIR: in a read-only system it may be all that can be written. */
static const char *data_directory(char **argv) {
    for (char **each = argv + 1; *each != NULL; each++) {
        if (strcmp(*each, "--data-dir") == 0 && each[1] != NULL) return each[1];
        if (strncmp(*each, "--data-dir=", 11) == 0) return *each + 11;
    }
    return getenv("LOCSHARE_DATA_DIR");
}

static int unpack_for_an_image(const char *place) {
    char parent[PATH_MAX], *slash;
    if (snprintf(parent, sizeof parent, "%s", place) < (int)sizeof parent &&
        (slash = strrchr(parent, '/')) != NULL && slash != parent) {
        *slash = '\0';
        if (access(place, F_OK) == 0) {
            errno = EEXIST;
        } else if (make_folders(parent) && unpack_at(parent, place)) {
            return 0;
        }
    } else {
        errno = EINVAL;
    }
    complain("cannot unpack into %s: %s", place, strerror(errno));
    return 1;
}

int main(int argc, char **argv) {
    if (!find_payload()) return 1;
    if (argc == 3 && strcmp(argv[1], "--unpack") == 0) return unpack_for_an_image(argv[2]);

    const char *chosen = getenv("LOCSHARE_CACHE_DIR");
    char temporary[2][64];
    snprintf(temporary[0], sizeof temporary[0], "/var/tmp/locshare-%u", (unsigned)geteuid());
    snprintf(temporary[1], sizeof temporary[1], "/tmp/locshare-%u", (unsigned)geteuid());
    if (chosen != NULL && chosen[0] != '\0') {
        run_from(chosen, argv);
    } else {
        run_from(getenv("CACHE_DIRECTORY"), argv); /* of systemd */
        if (geteuid() == 0) run_from("/var/cache/locshare", argv);
        run_from_below(getenv("XDG_CACHE_HOME"), "locshare", argv);
        run_from_below(getenv("HOME"), ".cache/locshare", argv);
        const char *data = data_directory(argv);
        if (data != NULL) mkdir(data, 0700); /* as the program would: it will hold a key */
        run_from_below(data, "program", argv);
        run_from(temporary[0], argv);
        run_from(temporary[1], argv);
    }
    complain("found no place to unpack the program (%s%s). Set LOCSHARE_CACHE_DIR to a directory "
             "that this user may write, with 150 MB free, on a disk without noexec",
             why_not[0] != '\0' ? why_not : "LOCSHARE_CACHE_DIR is no absolute path", "");
    return 1;
}
