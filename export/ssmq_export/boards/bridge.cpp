// A board in Verilator behind a terminal, as a real one is behind a cable: `simulate PERIOD IDLE`.
//
// Prints the terminal's name when the board is at rest, and runs until its standard input ends. Bytes that are written to the terminal arrive at the
// pin rx, what the pin tx says can be read from it. PERIOD: clocks a bit at the terminal's end of the line. IDLE: clocks
// without a bit on either pin after which the board waits for more, and its clock stands still.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <termios.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <deque>

#include "Vmodel.h"
#include "verilated.h"

// Ten bits and the times at which they begin.
struct Sender {
    double period, next = 0;
    int bits = 1, left = 0;
    std::deque<uint8_t> bytes;
    bool busy() const { return left || !bytes.empty(); }
    int pin(uint64_t cycle) {
        if (double(cycle) < next || !busy()) return bits & 1;
        if (left) {
            bits >>= 1;
            left--;
        }
        if (!left) bits = 1;
        if (!left && !bytes.empty()) {
            bits = 0x200 | bytes.front() << 1;
            left = 10;
            bytes.pop_front();
        }
        // A line that has rested begins now.
        next = (next + 1 < double(cycle) ? double(cycle) : next) + period;
        return bits & 1;
    }
};

struct Receiver {
    double period, next = 0;
    int place = -1, byte = 0;
    // A byte, or -1.
    int sample(uint64_t cycle, int pin) {
        if (place < 0) {
            if (pin) return -1;
            place = 0;
            next = double(cycle) + period / 2;
        }
        if (double(cycle) < next) return -1;
        next += period;
        if (place == 9) {
            place = -1;
            return pin ? byte & 255 : -1;
        }
        if (place > 0) byte = byte >> 1 | pin << 7;
        place++;
        return -1;
    }
};

static int opened_terminal() {
    const int master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK);
    if (master < 0 || grantpt(master) || unlockpt(master)) return -1;
    // Kept open here, so that one program may follow another at the other end; raw, so that nothing is echoed before.
    const int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
    struct termios settings;
    if (slave < 0 || tcgetattr(slave, &settings)) return -1;
    cfmakeraw(&settings);
    if (tcsetattr(slave, TCSANOW, &settings)) return -1;
    return master;
}

int main(int count, char** words) {
    if (count != 3) return 2;
    const int terminal = opened_terminal();
    if (terminal < 0) {
        std::perror("simulation: no terminal");
        return 3;
    }
    Sender sender{std::atof(words[1])};
    Receiver receiver{std::atof(words[1])};
    const uint64_t idle = std::strtoull(words[2], nullptr, 10);
    VerilatedContext context;
    context.randReset(2);
    Vmodel model{&context};
    uint64_t moved = 0;
    bool told = false;
    for (uint64_t cycle = 0;; cycle++) {
        if (cycle % 64 == 0 && !sender.busy()) {
            struct pollfd ends[] = {{terminal, POLLIN, 0}, {STDIN_FILENO, POLLIN, 0}};
            const bool rests = cycle - moved > idle;
            if (rests && !told) {
                std::printf("%s\n", ptsname(terminal));
                std::fflush(stdout);
                told = true;
            }
            if (poll(ends, 2, rests ? -1 : 0) < 0) return 1;
            if (ends[1].revents) return 0;
            uint8_t bytes[4096];
            const ssize_t size = ends[0].revents ? read(terminal, bytes, sizeof bytes) : 0;
            if (size > 0) sender.bytes.assign(bytes, bytes + size);
            if (size > 0) moved = cycle;
        }
        model.rx = sender.pin(cycle);
        model.clk = 0;
        model.eval();
        model.clk = 1;
        model.eval();
        if (sender.busy() || !model.tx) moved = cycle;
        const int byte = receiver.sample(cycle, model.tx);
        if (byte < 0) continue;
        const uint8_t heard = uint8_t(byte);
        // What nobody reads is lost, as on a cable.
        if (write(terminal, &heard, 1) < 0 && errno != EAGAIN) return 1;
    }
}
