package clients;

import static org.springframework.security.config.Customizer.withDefaults;

import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.Executors;
import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.context.annotation.Bean;
import org.springframework.http.ResponseEntity;
import org.springframework.security.config.annotation.web.builders.HttpSecurity;
import org.springframework.security.core.annotation.AuthenticationPrincipal;
import org.springframework.security.oauth2.client.OAuth2AuthorizedClient;
import org.springframework.security.oauth2.client.annotation.RegisteredOAuth2AuthorizedClient;
import org.springframework.security.oauth2.client.endpoint.OAuth2RefreshTokenGrantRequest;
import org.springframework.security.oauth2.client.endpoint.RestClientRefreshTokenTokenResponseClient;
import org.springframework.security.oauth2.client.oidc.web.logout.OidcClientInitiatedLogoutSuccessHandler;
import org.springframework.security.oauth2.client.registration.ClientRegistrationRepository;
import org.springframework.security.oauth2.client.userinfo.DefaultOAuth2UserService;
import org.springframework.security.oauth2.client.userinfo.OAuth2UserRequest;
import org.springframework.security.oauth2.core.oidc.user.OidcUser;
import org.springframework.security.web.SecurityFilterChain;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

/**
 * Spring Security: a registration with issuer-uri, client-id, client-secret and scope (application.yaml), and its handler for
 * RP-initiated logout, without which /logout ends only the app's own session. It authenticates by client_secret_basic. It
 * refreshes where an expired access token is asked for; eight refreshes at once are made here by the same class that does it then.
 */
@SpringBootApplication
@RestController
public class App {
    public static void main(String[] arguments) {
        SpringApplication.run(App.class, arguments);
    }

    @Bean
    SecurityFilterChain security(HttpSecurity http, ClientRegistrationRepository clients) throws Exception {
        var handler = new OidcClientInitiatedLogoutSuccessHandler(clients);
        handler.setPostLogoutRedirectUri("{baseUrl}/");
        return http.authorizeHttpRequests(asked -> asked.requestMatchers("/").permitAll().anyRequest().authenticated())
                .oauth2Login(withDefaults())
                .logout(logout -> logout.logoutSuccessHandler(handler))
                .build();
    }

    @GetMapping("/")
    ResponseEntity<Map<String, Object>> claims(@AuthenticationPrincipal OidcUser user) {
        return user == null ? ResponseEntity.status(401).body(Map.of()) : ResponseEntity.ok(user.getClaims());
    }

    @GetMapping("/refresh")
    List<Map<String, String>> refresh(@RegisteredOAuth2AuthorizedClient("signet") OAuth2AuthorizedClient client)
            throws Exception {
        var registration = client.getClientRegistration();
        var ask = new OAuth2RefreshTokenGrantRequest(registration, client.getAccessToken(), client.getRefreshToken());
        Callable<Map<String, String>> one = () -> {
            var tokens = new RestClientRefreshTokenTokenResponseClient().getTokenResponse(ask);
            var user = new DefaultOAuth2UserService().loadUser(new OAuth2UserRequest(registration, tokens.getAccessToken()));
            return Map.of("sub", user.getName(), "refresh_token", tokens.getRefreshToken().getTokenValue());
        };
        var threads = Executors.newFixedThreadPool(8);
        var all = new ArrayList<Map<String, String>>();
        for (var answer : threads.invokeAll(Collections.nCopies(8, one))) {
            all.add(answer.get());
        }
        threads.shutdown();
        return all;
    }
}
