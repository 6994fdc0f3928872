(* Two methods of the same queries are one method: the lemma, for every sequence of gradients. *)
Require Export Reals ZArith Lra Nsatz.
Open Scope R_scope.
Coercion Z.of_nat : nat >-> Z. (* steps count from 0; what a schedule is before them is an argument like any other *)

Section Run.
  Variables state gradients : Type.
  Variable step : nat -> state -> gradients -> state.

  Fixpoint run (start : state) (g : nat -> gradients) (t : nat) : state :=
    match t with
    | O => start
    | S before => step before (run start g before) (g before)
    end.
End Run.
Arguments run {state gradients}.

Section Equivalence.
  Variables from to gradients points : Type.
  Variable step : nat -> from -> gradients -> from.
  Variable step' : nat -> to -> gradients -> to.
  Variable transform : nat -> from -> to.
  Variables (start : from) (start' : to).

  (* What shows the same of the starts, and after the first step at every state and its transform, shows the same at
     every step of a run. *)
  Section Begun.
    Hypothesis starts : transform 0 start = start'.
    Hypothesis begins : forall g, transform 1 (step 0 start g) = step' 0 start' g.
    Hypothesis steps : forall t s g, t <> O -> transform (S t) (step t s g) = step' t (transform t s) g.

    Lemma carried : forall g t, transform t (run step start g t) = run step' start' g t.
    Proof.
      intros g t; induction t as [| [| t] known]; [exact starts | apply begins |].
      change (run step' start' g (S (S t))) with (step' (S t) (run step' start' g (S t)) (g (S t))).
      rewrite <- known; apply steps; discriminate.
    Qed.

    Lemma shown_once_begun : forall (show : nat -> from -> gradients -> points)
      (show' : nat -> to -> gradients -> points),
      (forall g, show O start g = show' O start' g) ->
      (forall t s g, t <> O -> show t s g = show' t (transform t s) g) ->
      forall g t, show t (run step start g t) (g t) = show' t (run step' start' g t) (g t).
    Proof.
      intros show show' first same g [| t]; [apply first |].
      rewrite <- carried; apply same; discriminate.
    Qed.
  End Begun.

  Lemma shown : transform 0 start = start' ->
    (forall t s g, transform (S t) (step t s g) = step' t (transform t s) g) ->
    forall (show : nat -> from -> gradients -> points) (show' : nat -> to -> gradients -> points),
    (forall t s g, show t s g = show' t (transform t s) g) ->
    forall g t, show t (run step start g t) (g t) = show' t (run step' start' g t) (g t).
  Proof.
    intros starts steps show show' same; apply shown_once_begun; trivial; intros; rewrite <- starts; trivial.
  Qed.
End Equivalence.

(* Methods of two memories: no rule of one memory, whatever its coefficients, has their queries. *)
Section Memories.
  Variable state : Type.
  Variable query : nat -> state -> R -> R.
  Variable step : nat -> state -> R -> state.
  Variable start : state.

  Definition impulse (k t : nat) : R := if Nat.eqb t k then 1 else 0.

  Definition move (g : nat -> R) (t : nat) : R :=
    query (S t) (run step start g (S t)) (g (S t)) - query t (run step start g t) (g t).

  (* What a gradient at step k changes in the move after step t. *)
  Definition response (k t : nat) : R := move (impulse k) t - move (fun _ => 0) t.

  Definition minor : R := response 0 2 * response 1 3 - response 1 2 * response 0 3.
End Memories.
Arguments minor {state}.

Lemma minor_of_queries : forall (state state' : Type) query query' step step' (start : state) (start' : state'),
  (forall g t, query t (run step start g t) (g t) = query' t (run step' start' g t) (g t)) ->
  minor query step start = minor query' step' start'.
Proof.
  intros * same; unfold minor, response, move; now rewrite !same.
Qed.

(* y+ = y + p n + q g, n+ = a n + b g; accelerated SGD is one of them. *)
Definition one_memory (a b p q : nat -> R) (t : nat) (s : R * R) (g : R) : R * R :=
  let (y, n) := s in (y + p t * n + q t * g, a t * n + b t * g).
Definition position (t : nat) (s : R * R) (g : R) : R := fst s.

Lemma minor_of_one_memory : forall a b p q start, minor position (one_memory a b p q) start = 0.
Proof.
  intros a b p q [y n]; unfold minor, response, move, position, impulse; cbn [run Nat.eqb one_memory fst]; ring.
Qed.

(* Steps after S t in terms of t, a schedule's arguments as t + k, powers unfolded. *)
Ltac tidy :=
  cbn [Nat.add Nat.eqb Rpow_def.pow]; unfold Z.sub;
  rewrite ?Nat2Z.inj_succ; unfold Z.succ; rewrite <- ?Z.add_assoc;
  cbn [Z.add Z.opp Pos.add Pos.succ Pos.pred_double Z.pos_sub Z.succ_double Z.pred_double Z.double];
  rewrite ?Z.add_0_r, ?plus_IZR, <- ?INR_IZR_INZ, ?S_INR; change (INR 0) with 0.

Ltac taken_apart := repeat match goal with g : (_ * _)%type |- _ => destruct g end.

Lemma top_nonzero : forall a b, a / b <> 0 -> a <> 0.
Proof. intros a b H E; apply H; rewrite E; apply Rmult_0_l. Qed.

(* Values of sequences by their recursions and starts. *)
Ltac followed :=
  repeat match goal with
  | H : @eq R (?f ?z) _ |- _ => is_var f; try rewrite H in *; clear H
  end;
  repeat match goal with H : _ / _ <> 0 |- _ => apply top_nonzero in H end.

Ltac steps_are_positive := repeat match goal with
  | n : nat |- _ => lazymatch goal with _ : 0 <= INR n |- _ => fail | _ => pose proof (pos_INR n) end
  end.

(* One hypothesis: the product of all that is known not to be zero. *)
Ltac multiplied := repeat match goal with
  | H : ?a <> 0, K : ?b <> 0 |- _ =>
      let N := fresh in pose proof (Rmult_integral_contrapositive_currified a b H K) as N; clear H K
  end.

Ltac nonzero := repeat split; steps_are_positive; first
  [ assumption
  | let E := fresh in intro E; lra
  | let E := fresh in intro E; match goal with H : _ <> 0 |- _ => apply H; lra end
  | apply Rgt_not_eq, exp_pos
  | apply Rgt_not_eq, sqrt_lt_R0; lra
  | apply Rgt_not_eq, Rmin_pos; lra
  | apply pow_nonzero; lra
  | multiplied; let E := fresh in intro E; cbn [Rpow_def.pow] in E;
    match goal with H : _ <> 0 |- _ => solve [apply H; nsatz | apply (pow_nonzero _ 2 H); nsatz] end ].

(* Equal states, tuples or numbers: coordinate by coordinate, as rational functions. *)
Ltac agree := match goal with
  | |- @eq R ?a ?b => tryif solve [reflexivity | ring | field; nonzero] then idtac else fail 1 "not shown:" a "=" b
  | |- (_, _) = (_, _) => apply f_equal2; agree
  | |- _ => f_equal; agree
  end.
