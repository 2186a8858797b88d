// Pair style "phasecal": a model in JAX, exported as an artifact, inside LAMMPS.
//
//   pair_style phasecal
//   pair_coeff * * ARTIFACT ELEMENT ...       (all elements of the artifact, in its order, one for each atom type)
//
// Each rank embeds one Python with one thread (phasecal/embedded.py) and hands it, for each of its atoms, the vectors
// to all neighbours within the cutoff; energies e_i and slopes g_ij = de_i/dr_ij come back. f_i += g_ij, f_j -= g_ij:
// forces on ghosts go home in LAMMPS' own reverse communication, so any number of ranks gives the same numbers.
// A model that passes messages takes the row of the atom that a neighbour is, or is an image of, in place of its species;
// then g_ij = dU/dr_ij, and there is one rank. A moment-network, whose arrays are in the artifact, is computed here without
// JAX (moment_network.h), once it has shown that it makes the artifact's reference outputs of the reference inputs.

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include "moment_network.h"

#include "atom.h"
#include "comm.h"
#include "error.h"
#include "force.h"
#include "memory.h"
#include "neigh_list.h"
#include "neighbor.h"
#include "pair.h"
#include "update.h"

#include <algorithm>
#include <cstring>
#include <dlfcn.h>
#include <memory>
#include <string>
#include <vector>

using namespace LAMMPS_NS;

namespace {

struct Gil {    // the interpreter, for as long as this object lives
  PyGILState_STATE state = PyGILState_Ensure();
  ~Gil() { PyGILState_Release(state); }
};

struct Array {    // memory of a NumPy array, without a copy
  Py_buffer view{};
  bool open(PyObject *array, int flags)
  {
    release();
    return array && PyObject_GetBuffer(array, &view, flags | PyBUF_C_CONTIGUOUS) == 0;
  }
  template <typename T> T *data() const { return static_cast<T *>(view.buf); }
  void release()
  {
    if (view.obj) PyBuffer_Release(&view);
  }
};

template <typename T> struct Native {    // a moment-network and what it computes
  phasecal::MomentNetwork<T> network;
  std::vector<double> energies;
  std::vector<T> slopes;

  explicit Native(const phasecal::MomentArrays &arrays) : network(arrays) {}

  void evaluate(const phasecal::Rows<T> &rows)
  {
    energies.resize(rows.n);
    slopes.resize(static_cast<size_t>(rows.n) * rows.columns * 3);
    network.evaluate(rows, energies.data(), slopes.data());
  }
};

class PairPhasecal : public Pair {
 public:
  PairPhasecal(LAMMPS *lmp) : Pair(lmp)
  {
    restartinfo = 0;
    one_coeff = 1;
    manybody_flag = 1;
    single_enable = 0;
    centroidstressflag = CENTROID_NOTAVAIL;
  }

  ~PairPhasecal() override
  {
    if (session) {
      Gil gil;
      for (Array *array : {&vectors, &species, &others}) array->release();
      Py_DECREF(session);
    }
    if (allocated) {
      memory->destroy(setflag);
      memory->destroy(cutsq);
    }
  }

  void settings(int narg, char **) override
  {
    if (narg != 0) error->all(FLERR, "pair_style phasecal takes no arguments");
    if (!force->newton_pair) error->all(FLERR, "pair_style phasecal needs newton on for pairs");
    if (strcmp(update->unit_style, "metal") != 0) error->all(FLERR, "pair_style phasecal needs units metal");
  }

  void coeff(int narg, char **arg) override
  {
    const int n = atom->ntypes;
    if (narg != 3 + n || strcmp(arg[0], "*") != 0 || strcmp(arg[1], "*") != 0)
      error->all(FLERR, "pair_coeff of phasecal: expected * * ARTIFACT and one element for each atom type");
    start_python();
    Gil gil;
    PyObject *names = checked(PyList_New(n));
    for (int i = 0; i < n; i++) PyList_SetItem(names, i, checked(PyUnicode_FromString(arg[3 + i])));
    PyObject *module = checked(PyImport_ImportModule("phasecal.embedded"));
    Py_XDECREF(session);
    session = checked(PyObject_CallMethod(module, "start", "sNi", arg[2], names, comm->nprocs));
    Py_DECREF(module);
    cutoff = number("cutoff");
    is_double = number("item_size") == sizeof(double);
    passes_messages = number("passes_messages") != 0.0;
    if (is_double)
      start_native(twofold);
    else
      start_native(single);
    if (!allocated) {
      memory->create(setflag, n + 1, n + 1, "pair:setflag");
      memory->create(cutsq, n + 1, n + 1, "pair:cutsq");
      allocated = 1;
    }
    for (int i = 1; i <= n; i++)
      for (int j = 1; j <= n; j++) setflag[i][j] = 1;
  }

  void init_style() override { neighbor->add_request(this, NeighConst::REQ_FULL); }

  double init_one(int, int) override { return cutoff; }

  void compute(int eflag, int vflag) override
  {
    ev_init(eflag, vflag);
    if (list->inum > 0) {
      Gil gil;
      for (int width = pack(); list->inum > rows || width > columns; width = pack()) grow(width);
      if (single)
        run_native(*single);
      else if (twofold)
        run_native(*twofold);
      else
        run_session();
    }
    if (vflag_fdotr) virial_fdotr_compute();
  }

 private:
  PyObject *session = nullptr;
  Array vectors, species, others;        // (rows, columns, 3), (rows,), (rows, columns)
  std::vector<int> counts, neighbors;    // of each row; index of each atom within the cutoff
  std::vector<int> row_of_tag;           // where a model passes messages
  int rows = 0, columns = 0;
  double cutoff = 0.0;
  bool is_double = false, passes_messages = false;
  std::unique_ptr<Native<float>> single;      // neither where the model is not a moment-network
  std::unique_ptr<Native<double>> twofold;

  void start_python()
  {
    if (Py_IsInitialized()) return;
    // extension modules look for Python's symbols among those that are visible to all
    if (!dlopen(PHASECAL_LIBPYTHON, RTLD_NOW | RTLD_GLOBAL)) error->one(FLERR, "cannot open {}", PHASECAL_LIBPYTHON);
    PyConfig config;
    PyConfig_InitPythonConfig(&config);
    config.install_signal_handlers = 0;
    config.parse_argv = 0;
    PyStatus status = PyConfig_SetBytesString(&config, &config.program_name, PHASECAL_PYTHON);
    if (!PyStatus_Exception(status)) status = Py_InitializeFromConfig(&config);
    PyConfig_Clear(&config);
    if (PyStatus_Exception(status)) error->one(FLERR, "cannot start Python as {}", PHASECAL_PYTHON);
    PyEval_SaveThread();
  }

  [[noreturn]] void fail()
  {
    PyObject *kind = nullptr, *value = nullptr, *trace = nullptr;
    PyErr_Fetch(&kind, &value, &trace);
    PyObject *text = value ? PyObject_Str(value) : nullptr;
    const char *message = text ? PyUnicode_AsUTF8(text) : nullptr;
    error->one(FLERR, "phasecal: {}", std::string(message ? message : "Python failed"));
  }

  PyObject *checked(PyObject *object)
  {
    if (!object) fail();
    return object;
  }

  double number(const char *name)
  {
    PyObject *value = checked(PyObject_GetAttrString(session, name));
    const double result = PyFloat_AsDouble(value);
    Py_DECREF(value);
    return result;
  }

  // Make a model of arrays that Python holds, if it has any, and check it with the reference of the artifact.
  template <typename T> void start_native(std::unique_ptr<Native<T>> &native)
  {
    single.reset(), twofold.reset();
    PyObject *arrays = checked(PyObject_GetAttrString(session, "native"));
    if (arrays != Py_None) {
      phasecal::MomentArrays m{};
      Py_buffer hidden, parts[6];
      if (!PyArg_ParseTuple(arrays, "iiidy*y*y*y*y*y*y*", &m.n_elements, &m.n_radial, &m.n_basis, &m.guard, &hidden,
                            &parts[0], &parts[1], &parts[2], &parts[3], &parts[4], &parts[5]))
        fail();
      const int *sizes = static_cast<int *>(hidden.buf);
      m.hidden.assign(sizes, sizes + hidden.len / sizeof(int));
      m.cutoff = cutoff;
      const double **targets[] = {&m.theta, &m.radial, &m.mean, &m.scale, &m.references, &m.inner};
      for (int i = 0; i < 6; i++) *targets[i] = static_cast<double *>(parts[i].buf);
      native = std::make_unique<Native<T>>(m);
      PyBuffer_Release(&hidden);
      for (Py_buffer &part : parts) PyBuffer_Release(&part);
      check_native(*native);
    }
    Py_DECREF(arrays);
  }

  template <typename T> void check_native(Native<T> &native)
  {
    PyObject *reference = checked(PyObject_GetAttrString(session, "reference"));
    Array inputs[3];
    for (int i = 0; i < 3; i++)
      if (!inputs[i].open(PyTuple_GetItem(reference, i), PyBUF_ND)) fail();
    const int n = inputs[0].view.shape[0], width = inputs[0].view.shape[1];
    const std::vector<int> all(n, width);
    native.evaluate({inputs[0].data<T>(), inputs[1].data<int>(), inputs[2].data<int>(), all.data(), n, width});
    for (Array &input : inputs) input.release();
    Py_DECREF(reference);
    Py_DECREF(checked(PyObject_CallMethod(session, "check", "NN", view(native.energies), view(native.slopes))));
  }

  template <typename T> PyObject *view(std::vector<T> &values)
  {
    char *memory = reinterpret_cast<char *>(values.data());
    return checked(PyMemoryView_FromMemory(memory, values.size() * sizeof(T), PyBUF_READ));
  }

  template <typename T> void run_native(Native<T> &native)
  {
    const int *kinds = species.data<int>(), *neighbor_kinds = others.data<int>();
    native.evaluate({vectors.data<T>(), kinds, neighbor_kinds, counts.data(), list->inum, columns});
    add(native.energies.data(), native.slopes.data());
  }

  void run_session()
  {
    PyObject *result = checked(PyObject_CallMethod(session, "evaluate", nullptr));
    Array energies, slopes;
    if (!energies.open(PyTuple_GetItem(result, 0), 0) || !slopes.open(PyTuple_GetItem(result, 1), 0)) fail();
    if (is_double)
      add(energies.data<double>(), slopes.data<double>());
    else
      add(energies.data<float>(), slopes.data<float>());
    energies.release();
    slopes.release();
    Py_DECREF(result);
  }

  void grow(int width)
  {
    PyObject *arrays = checked(PyObject_CallMethod(session, "grow", "ii", list->inum, width));
    Array *views[] = {&vectors, &species, &others};
    for (int i = 0; i < 3; i++)
      if (!views[i]->open(PyTuple_GetItem(arrays, i), PyBUF_WRITABLE | PyBUF_ND)) fail();
    rows = vectors.view.shape[0];
    columns = vectors.view.shape[1];
    Py_DECREF(arrays);
    counts.assign(rows, 0);
    neighbors.assign(static_cast<size_t>(rows) * columns, 0);
  }

  void find_rows()
  {
    tagint largest = 0;
    for (int row = 0; row < list->inum; row++) largest = std::max(largest, atom->tag[list->ilist[row]]);
    row_of_tag.assign(largest + 1, 0);
    for (int row = 0; row < list->inum; row++) row_of_tag[atom->tag[list->ilist[row]]] = row;
  }

  // write the neighbourhood of each atom into its row; return the largest number of neighbours
  int pack() { return is_double ? pack_as<double>() : pack_as<float>(); }

  template <typename T> int pack_as()
  {
    double **x = atom->x;
    const T far = 2.0 * cutoff;
    int width = 0;
    if (passes_messages) find_rows();
    for (int row = 0; row < list->inum; row++) {
      const int i = list->ilist[row];
      const int *jlist = list->firstneigh[i];
      const bool fits = row < rows;
      const size_t start = static_cast<size_t>(row) * columns;
      int n = 0;
      for (int jj = 0; jj < list->numneigh[i]; jj++) {
        const int j = jlist[jj] & NEIGHMASK;
        const double dx = x[j][0] - x[i][0], dy = x[j][1] - x[i][1], dz = x[j][2] - x[i][2];
        if (dx * dx + dy * dy + dz * dz >= cutoff * cutoff) continue;
        if (fits && n < columns) {
          T *v = vectors.data<T>() + 3 * (start + n);
          v[0] = dx, v[1] = dy, v[2] = dz;
          others.data<int>()[start + n] = passes_messages ? row_of_tag[atom->tag[j]] : atom->type[j] - 1;
          neighbors[start + n] = j;
        }
        n++;
      }
      width = std::max(width, n);
      if (!fits || n > columns) continue;
      species.data<int>()[row] = atom->type[i] - 1;
      std::fill(vectors.data<T>() + 3 * (start + n), vectors.data<T>() + 3 * (start + columns), far);
      counts[row] = n;
    }
    return width;
  }

  template <typename E, typename T> void add(const E *energies, const T *slopes)
  {
    double **x = atom->x, **f = atom->f;
    for (int row = 0; row < list->inum; row++) {
      const int i = list->ilist[row];
      const size_t start = static_cast<size_t>(row) * columns;
      double fx = 0.0, fy = 0.0, fz = 0.0;
      for (int n = 0; n < counts[row]; n++) {
        const int j = neighbors[start + n];
        const T *g = slopes + 3 * (start + n);
        fx += g[0], fy += g[1], fz += g[2];
        f[j][0] -= g[0], f[j][1] -= g[1], f[j][2] -= g[2];
        if (vflag_either)
          ev_tally_xyz(i, j, atom->nlocal, force->newton_pair, 0.0, 0.0, g[0], g[1], g[2], x[i][0] - x[j][0],
                       x[i][1] - x[j][1], x[i][2] - x[j][2]);
      }
      f[i][0] += fx, f[i][1] += fy, f[i][2] += fz;
      if (eflag_global) eng_vdwl += energies[row];
      if (eflag_atom) eatom[i] += energies[row];
    }
  }
};

Pair *make(LAMMPS *lmp) { return new PairPhasecal(lmp); }

}    // namespace

// What LAMMPS expects of a plugin (its manual, "Writing plugins"); the wheel does not bring the header.

struct lammpsplugin_t {
  const char *version, *style, *name, *info, *author;
  void *creator;
  void *handle;
};

extern "C" void lammpsplugin_init(void *lmp, void *handle, void *regfunc)
{
  lammpsplugin_t plugin{static_cast<LAMMPS *>(lmp)->version, "pair", "phasecal", "a local JAX model", "phasecal",
                        reinterpret_cast<void *>(&make), handle};
  reinterpret_cast<void (*)(lammpsplugin_t *, void *)>(regfunc)(&plugin, lmp);
}
