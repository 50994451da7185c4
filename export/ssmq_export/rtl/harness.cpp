// Drives the streams of a model and writes down what comes: `simulate GIVEN RESULT SEED GAP STALL PATIENCE [TRACE]`.
//
// GIVEN: of every input the number of beats, then beats of {elements.., last}; of every output the number of beats that
// must come. RESULT: of every output, beats of {elements.., last, cycle}, of every tap their number and beats of
// {elements.., cycle}, then the cycle in which the first beat was taken.
// All numbers are int64. GAP and STALL: of 256 cycles, in how many an input has nothing or an output takes nothing.
// PATIENCE: cycles without any beat after which the model is stuck, and which it is watched for more beats at the end.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "ports.h"
#include "verilated.h"
#ifdef TRACE
#include "verilated_vcd_c.h"
#endif

using Numbers = std::vector<int64_t>;

template <class T>
uint64_t bits_of(const T& data, int first, int count) {
    const uint64_t word = static_cast<uint64_t>(data) >> first;
    return count < 64 ? word & ((uint64_t(1) << count) - 1) : word;
}
template <size_t N>
uint64_t bits_of(const VlWide<N>& data, int first, int count) {
    uint64_t word = 0;
    for (int i = 0; i < count; i++) word |= uint64_t((data[(first + i) / 32] >> ((first + i) % 32)) & 1) << i;
    return word;
}
template <class T>
void set_bits(T& data, int first, int count, uint64_t word) {
    const uint64_t mask = (count < 64 ? (uint64_t(1) << count) - 1 : ~uint64_t(0)) << first;
    data = static_cast<T>((static_cast<uint64_t>(data) & ~mask) | ((word << first) & mask));
}
template <size_t N>
void set_bits(VlWide<N>& data, int first, int count, uint64_t word) {
    for (int i = 0; i < count; i++) {
        const uint32_t one = uint32_t(1) << ((first + i) % 32);
        uint32_t& part = data[(first + i) / 32];
        part = (word >> i) & 1 ? part | one : part & ~one;
    }
}

template <class T>
int64_t element_of(const T& data, const Shape& shape, int lane) {
    const uint64_t word = bits_of(data, lane * shape.bits, shape.bits);
    const bool negative = shape.is_signed && shape.bits < 64 && (word >> (shape.bits - 1)) & 1;
    return negative ? int64_t(word | (~uint64_t(0) << shape.bits)) : int64_t(word);
}

struct Random {
    uint64_t state;
    bool below(int share) {
        state = state * 6364136223846793005u + 1442695040888963407u;
        return int((state >> 40) & 255) < share;
    }
};

struct Input {
    Numbers beats;
    size_t place = 0;
    bool offered = false;
};

struct Output {
    size_t expected = 0;
    Numbers beats, standing;
};

[[noreturn]] static void fail(const char* what, int port, long long cycle) {
    std::fprintf(stderr, "simulation: %s, port %d, cycle %lld\n", what, port, cycle);
    std::exit(3);
}

static Numbers read_numbers(const char* path) {
    Numbers numbers;
    std::FILE* file = std::fopen(path, "rb");
    if (!file) fail("no input file", 0, 0);
    std::fseek(file, 0, SEEK_END);
    numbers.resize(std::ftell(file) / sizeof(int64_t));
    std::rewind(file);
    if (std::fread(numbers.data(), sizeof(int64_t), numbers.size(), file) != numbers.size()) fail("short input file", 0, 0);
    std::fclose(file);
    return numbers;
}

int main(int count, char** words) {
    if (count < 7) return 2;
    Random random{std::strtoull(words[3], nullptr, 10) * 2 + 1};
    const int gap = std::atoi(words[4]), stall = std::atoi(words[5]);
    const long long patience = std::atoll(words[6]);
    const Numbers given = read_numbers(words[1]);

    std::vector<Input> inputs(INPUTS);
    std::vector<Output> outputs(OUTPUTS);
    std::vector<Numbers> taps(TAPPED);
    size_t at = 0;
    for (int i = 0; i < INPUTS; i++) {
        const size_t size = given.at(at++) * (IN[i].lanes + 1);
        inputs[i].beats.assign(given.begin() + at, given.begin() + at + size);
        at += size;
    }
    for (int i = 0; i < OUTPUTS; i++) {
        outputs[i].expected = given.at(at++) * (OUT[i].lanes + 2);
        outputs[i].beats.reserve(outputs[i].expected);
    }

    VerilatedContext context;
    context.randReset(2);
    context.randSeed(int(random.state & 0x7fffffff));
#ifdef TRACE
    context.traceEverOn(true);
#endif
    Model model{&context};
#ifdef TRACE
    VerilatedVcdC trace;
    model.trace(&trace, 99);
    trace.open(words[7]);
#endif
    long long cycle = 0, moved = 0, first = -1;
    size_t missing = 0;
    for (const Output& output : outputs) missing += output.expected;
    model.rst = 1;
    // Without pauses, when every cycle counts, the first beat comes when all that reads memories ahead has done so.
    const long long resets = 1, ahead = 2;
    for (; cycle - moved < patience || cycle < resets; cycle++) {
        const bool running = cycle >= resets;
        model.clk = 0;
        model.rst = !running;
        each_input(model, [&](int i, auto& valid, auto&, auto& data, auto& last) {
            Input& input = inputs[i];
            // What is offered stays until it is taken.
            const bool may = running && (gap || cycle >= resets + ahead) && input.place < input.beats.size();
            if (!input.offered) input.offered = may && !random.below(gap);
            valid = input.offered;
            if (!input.offered) return;
            for (int lane = 0; lane < IN[i].lanes; lane++)
                set_bits(data, lane * IN[i].bits, IN[i].bits, input.beats[input.place + lane]);
            last = input.beats[input.place + IN[i].lanes];
        });
        each_output(model, [&](int, auto&, auto& ready, auto&, auto&) { ready = running && !random.below(stall); });
        model.eval();
#ifdef TRACE
        trace.dump(uint64_t(cycle) * 10);
#endif
        if (running) {
            each_input(model, [&](int i, auto&, auto& ready, auto&, auto&) {
                Input& input = inputs[i];
                if (!input.offered || !ready) return;
                if (first < 0) first = cycle;
                input.place += IN[i].lanes + 1;
                input.offered = false;
                moved = cycle;
            });
            each_output(model, [&](int i, auto& valid, auto& ready, auto& data, auto& last) {
                Output& output = outputs[i];
                if (!valid) {
                    if (!output.standing.empty()) fail("a beat was withdrawn", i, cycle);
                    return;
                }
                Numbers beat;
                for (int lane = 0; lane < OUT[i].lanes; lane++) beat.push_back(element_of(data, OUT[i], lane));
                beat.push_back(last);
                if (!output.standing.empty() && output.standing != beat) fail("a beat changed while it was stalled", i, cycle);
                output.standing = beat;
                if (!ready) return;
                output.standing.clear();
                if (output.beats.size() == output.expected) fail("more beats than there should be", i, cycle);
                output.beats.insert(output.beats.end(), beat.begin(), beat.end());
                output.beats.push_back(cycle);
                missing -= OUT[i].lanes + 2;
                moved = cycle;
            });
        }
        each_tap(model, [&](int i, auto& valid, auto& ready, auto& data, auto&) {
            if (!running || !valid || !ready) return;
            for (int lane = 0; lane < TAP[i].lanes; lane++) taps[i].push_back(element_of(data, TAP[i], lane));
            taps[i].push_back(cycle);
        });
        model.clk = 1;
        model.eval();
#ifdef TRACE
        trace.dump(uint64_t(cycle) * 10 + 5);
#endif
    }
    model.final();
#ifdef TRACE
    trace.close();
#endif
    if (missing) fail("stuck, beats are missing", 0, cycle);
    std::FILE* file = std::fopen(words[2], "wb");
    if (!file) fail("no result file", 0, cycle);
    for (const Output& output : outputs) std::fwrite(output.beats.data(), sizeof(int64_t), output.beats.size(), file);
    for (const Numbers& tap : taps) {
        const int64_t size = tap.size();
        std::fwrite(&size, sizeof(size), 1, file);
        std::fwrite(tap.data(), sizeof(int64_t), tap.size(), file);
    }
    const int64_t began = first;
    std::fwrite(&began, sizeof(began), 1, file);
    return std::fclose(file) ? 1 : 0;
}
