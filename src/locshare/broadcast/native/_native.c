/* The send loop of a flush, compiled. pure.py is its twin: the same interface, the same behaviour, and
   the place to read what each method promises. docs/decisions/0014-compiled-fan.md says why.

   Rules: no Python code runs between two sends; a socket is known by its Exit alone, which its outbox
   shuts before it closes the socket, so a descriptor that is used again is never written to. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <structmember.h>
#include <sys/socket.h>
#include <sys/uio.h>

#ifndef MSG_NOSIGNAL
#define MSG_NOSIGNAL 0 /* Python ignores SIGPIPE anyway */
#endif
#define FLAGS (MSG_DONTWAIT | MSG_NOSIGNAL)

/* --- WriteCounters ------------------------------------------------------------------------------ */

typedef struct { PyObject_HEAD unsigned long long writes, size, stalls; } Counters;

static PyMemberDef counters_members[] = {
    {"writes", T_ULONGLONG, offsetof(Counters, writes), 0, NULL},
    {"size", T_ULONGLONG, offsetof(Counters, size), 0, NULL},
    {"stalls", T_ULONGLONG, offsetof(Counters, stalls), 0, NULL},
    {NULL}};

static PyTypeObject CountersType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "locshare.broadcast.native.WriteCounters",
    .tp_basicsize = sizeof(Counters), .tp_flags = Py_TPFLAGS_DEFAULT, .tp_new = PyType_GenericNew,
    .tp_members = counters_members};

/* --- Exit --------------------------------------------------------------------------------------- */

typedef struct { PyObject_HEAD Counters *counters; int descriptor; char open; } Exit;

static PyObject *exit_new(PyTypeObject *type, PyObject *args, PyObject *names) {
    int descriptor;
    PyObject *send, *counters; /* `send` is for the twin */
    if (names && PyDict_GET_SIZE(names)) return PyErr_Format(PyExc_TypeError, "Exit takes no names");
    if (!PyArg_ParseTuple(args, "iOO!", &descriptor, &send, &CountersType, &counters)) return NULL;
    Exit *self = (Exit *)type->tp_alloc(type, 0);
    if (!self) return NULL;
    self->counters = (Counters *)Py_NewRef(counters);
    self->descriptor = descriptor;
    self->open = 1;
    return (PyObject *)self;
}

static void exit_dealloc(Exit *self) {
    Py_DECREF(self->counters);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static PyMemberDef exit_members[] = {
    {"counters", T_OBJECT_EX, offsetof(Exit, counters), READONLY, NULL},
    {"open", T_BOOL, offsetof(Exit, open), 0, NULL},
    {NULL}};

static PyTypeObject ExitType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "locshare.broadcast.native.Exit",
    .tp_basicsize = sizeof(Exit), .tp_flags = Py_TPFLAGS_DEFAULT, .tp_new = exit_new,
    .tp_dealloc = (destructor)exit_dealloc, .tp_members = exit_members};

/* --- Fan ---------------------------------------------------------------------------------------- */

/* `start` and `end` are what this receiver must not get of the flush that is being sent. */
typedef struct { PyObject *receiver; Exit *exit; Py_ssize_t start, end; } Entry;
typedef struct { PyObject_HEAD Entry *entries; Py_ssize_t size, room; } Fan;

static int fan_traverse(Fan *self, visitproc visit, void *arg) {
    for (Py_ssize_t i = 0; i < self->size; i++) Py_VISIT(self->entries[i].receiver);
    return 0;
}

static int fan_empty(Fan *self) {
    Entry *entries = self->entries; /* taken first: giving a receiver back may run any code */
    Py_ssize_t size = self->size;
    self->entries = NULL;
    self->size = self->room = 0;
    for (Py_ssize_t i = 0; i < size; i++) {
        Py_DECREF(entries[i].receiver);
        Py_XDECREF(entries[i].exit);
    }
    PyMem_Free(entries);
    return 0;
}

static void fan_dealloc(Fan *self) {
    PyObject_GC_UnTrack(self);
    fan_empty(self);
    Py_TYPE(self)->tp_free((PyObject *)self);
}

static Py_ssize_t fan_length(Fan *self) { return self->size; }

static PyObject *fan_add(Fan *self, PyObject *const *args, Py_ssize_t count) {
    if (count != 2 || !(args[1] == Py_None || Py_TYPE(args[1]) == &ExitType))
        return PyErr_Format(PyExc_TypeError, "add(receiver, Exit or None)");
    if (self->size == self->room) {
        Py_ssize_t room = self->room ? self->room * 2 : 8;
        Entry *entries = PyMem_Realloc(self->entries, room * sizeof(Entry));
        if (!entries) return PyErr_NoMemory();
        self->entries = entries;
        self->room = room;
    }
    Exit *exit = args[1] == Py_None ? NULL : (Exit *)Py_NewRef(args[1]);
    self->entries[self->size++] = (Entry){Py_NewRef(args[0]), exit, 0, 0};
    Py_RETURN_NONE;
}

static PyObject *fan_remove(Fan *self, PyObject *receiver) {
    for (Py_ssize_t i = 0; i < self->size; i++) {
        Entry gone = self->entries[i];
        if (gone.receiver != receiver) continue;
        self->size--;
        memmove(self->entries + i, self->entries + i + 1, (self->size - i) * sizeof(Entry));
        Py_DECREF(gone.receiver);
        Py_XDECREF(gone.exit);
        break;
    }
    Py_RETURN_NONE;
}

static PyObject *fan_clear(Fan *self, PyObject *Py_UNUSED(nothing)) {
    fan_empty(self);
    Py_RETURN_NONE;
}

/* Note the span of each receiver in `without`. A search for each: a few of them move at a time, the
   entries lie side by side, and hashing a receiver would fetch it from memory. */
static int fan_mark(Fan *self, PyObject *without, Py_ssize_t size) {
    PyObject *receiver, *span;
    Py_ssize_t place = 0, start, end;
    while (PyDict_Next(without, &place, &receiver, &span)) {
        if (!PyTuple_Check(span) || !PyArg_ParseTuple(span, "nn", &start, &end)) {
            if (!PyErr_Occurred()) PyErr_SetString(PyExc_TypeError, "a span is (start, end)");
            return -1;
        }
        if (start < 0 || start > end || end > size) {
            PyErr_SetString(PyExc_ValueError, "a span outside of the flush");
            return -1;
        }
        for (Py_ssize_t i = 0; i < self->size; i++) {
            if (self->entries[i].receiver != receiver) continue;
            self->entries[i].start = start;
            self->entries[i].end = end;
        }
    }
    return 0;
}

/* What the kernel took, 0 when it took nothing or was not asked. */
static Py_ssize_t exit_send(Exit *exit, char *data, Py_ssize_t size, Py_ssize_t start, Py_ssize_t end) {
    Py_ssize_t taken;
    if (!exit || !exit->open || exit->descriptor < 0) return 0;
    if (start == end)
        taken = send(exit->descriptor, data, size, FLAGS);
    else if (!start)
        taken = send(exit->descriptor, data + end, size - end, FLAGS);
    else {
        struct iovec parts[2] = {{data, start}, {data + end, size - end}};
        struct msghdr message = {.msg_iov = parts, .msg_iovlen = end == size ? 1 : 2};
        taken = sendmsg(exit->descriptor, &message, FLAGS);
    }
    if (taken < 0) return 0; /* full or gone: the receiver finds out which */
    exit->counters->writes++;
    exit->counters->size += taken;
    return taken;
}

static int note_late(PyObject **late, PyObject *receiver, Py_ssize_t taken) {
    if (!*late && !(*late = PyList_New(0))) return -1;
    PyObject *pair = Py_BuildValue("(On)", receiver, taken);
    int failed = !pair || PyList_Append(*late, pair) < 0;
    Py_XDECREF(pair);
    return failed ? -1 : 0;
}

static PyObject *fan_send(Fan *self, PyObject *const *args, Py_ssize_t count) {
    if (count != 2 || !PyBytes_Check(args[0]) || !PyDict_Check(args[1]))
        return PyErr_Format(PyExc_TypeError, "send(bytes, dict)");
    char *data = PyBytes_AS_STRING(args[0]);
    Py_ssize_t size = PyBytes_GET_SIZE(args[0]), marked = PyDict_GET_SIZE(args[1]);
    PyObject *late = NULL;
    int failed = marked && fan_mark(self, args[1], size) < 0;
    for (Py_ssize_t i = 0; i < self->size && !failed; i++) {
        Entry entry = self->entries[i];
        Py_ssize_t due = size - (entry.end - entry.start);
        if (!due) continue;
        if (i + 1 < self->size) __builtin_prefetch(self->entries[i + 1].exit);
        Py_ssize_t taken = exit_send(entry.exit, data, size, entry.start, entry.end);
        if (taken == due) continue;
        Py_INCREF(entry.receiver); /* the collector may run now, and with it any code */
        failed = note_late(&late, entry.receiver, taken) < 0;
        Py_DECREF(entry.receiver);
    }
    if (marked)
        for (Py_ssize_t i = 0; i < self->size; i++) self->entries[i].start = self->entries[i].end = 0;
    if (failed) {
        Py_XDECREF(late);
        return NULL;
    }
    return late ? late : PyTuple_New(0);
}

static PyMethodDef fan_methods[] = {
    {"add", (PyCFunction)(void *)fan_add, METH_FASTCALL, NULL},
    {"remove", (PyCFunction)fan_remove, METH_O, NULL},
    {"clear", (PyCFunction)fan_clear, METH_NOARGS, NULL},
    {"send", (PyCFunction)(void *)fan_send, METH_FASTCALL, NULL},
    {"__class_getitem__", Py_GenericAlias, METH_O | METH_CLASS, NULL},
    {NULL}};

static PySequenceMethods fan_sequence = {.sq_length = (lenfunc)fan_length};

static PyTypeObject FanType = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "locshare.broadcast.native.Fan",
    .tp_basicsize = sizeof(Fan), .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .tp_new = PyType_GenericNew, .tp_dealloc = (destructor)fan_dealloc,
    .tp_traverse = (traverseproc)fan_traverse, .tp_clear = (inquiry)fan_empty,
    .tp_methods = fan_methods, .tp_as_sequence = &fan_sequence};

static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, .m_name = "_native", .m_size = -1};

PyMODINIT_FUNC PyInit__native(void) {
    if (PyType_Ready(&CountersType) < 0 || PyType_Ready(&ExitType) < 0 || PyType_Ready(&FanType) < 0)
        return NULL;
    PyObject *made = PyModule_Create(&module);
    if (!made || PyModule_AddObjectRef(made, "WriteCounters", (PyObject *)&CountersType) < 0 ||
        PyModule_AddObjectRef(made, "Exit", (PyObject *)&ExitType) < 0 ||
        PyModule_AddObjectRef(made, "Fan", (PyObject *)&FanType) < 0)
        Py_CLEAR(made);
    return made;
}
