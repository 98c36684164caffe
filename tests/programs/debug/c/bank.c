// A program with debug information: for source positions in traps, explanations, frame maps and the IR.
//
// `pay(n)` takes n off an account, again and again, and divides by what is left in the end: 0 is a trap. `count(n)` has a
// loop and calls in it.

__attribute__((noinline)) static int share(int whole, int parts) {
    return whole / parts;
}

__attribute__((noinline)) static int spend(int left, int price) {
    if (left < price) {
        return share(100, left);
    }
    return spend(left - price, price) + 1;
}

__attribute__((export_name("pay"))) int pay(int price) {
    int bought = spend(100, price);
    return bought * 10;
}

__attribute__((export_name("count"))) int count(int n) {
    int sum = 0;
    for (int i = 1; i <= n; i++) {
        sum += share(sum + n, i);
    }
    return sum;
}
